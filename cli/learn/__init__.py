"""Commands of speclearn: train, evaluate, explain, predict, bench, export."""
