"""Keep one venue in conversation: a codec and its sockets, or paper."""
