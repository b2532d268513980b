"""KuCoin spot, classic account."""
