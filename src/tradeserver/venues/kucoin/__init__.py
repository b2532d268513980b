"""KuCoin spot, classic dialect. `codec.KucoinCodec` is the way in, `settings.KucoinSettings` what may be set."""
