"""Durable files: JSON, histories, tensors, locks; and where a program ran. A kill leaves them whole."""
