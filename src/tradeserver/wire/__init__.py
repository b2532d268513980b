"""The shape of each venue's messages: structs without behaviour."""
