"""The model: plain PyTorch inside, a thin Hugging Face skin (`*_mirasol.py`) outside. One file per noun, one folder."""
