"""Commands of ``speclearn pretrain``, a file each."""
