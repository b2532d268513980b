"""KuCoin spot (classic) as its clients see it; `front.KucoinFront` is the way in."""
