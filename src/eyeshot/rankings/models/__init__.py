"""The ranking of models: which pretrained model, raw, fits these images, and at what cost."""
