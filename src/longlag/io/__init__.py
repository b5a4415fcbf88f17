"""Durable files: JSON, histories, directories of tensors, locks; and where a program ran. A kill leaves them whole."""
