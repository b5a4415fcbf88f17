"""Commands of the laboratory: reproduce, bench, pretrain."""
