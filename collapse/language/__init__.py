"""Things that speak: models, tokenizers, corpora, training and sampling."""
