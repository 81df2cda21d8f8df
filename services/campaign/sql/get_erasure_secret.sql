SELECT secret FROM erasure_secret
