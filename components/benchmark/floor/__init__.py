"""Floors: models without a transformer, trained here and measured beside the candidates. Is a transformer needed?"""
