"""What helps against each cause; in which order they are treated, `order` says."""

REMEDIES = {
    "nonfinite": "Mend the place where it arises. Clipping does not help: nan times 0 is nan.",
    "wrong backward": "Mend this backward, and check it with gradcheck, before anything else.",
    "unreached": "Use it in forward, mend the cut in the path back, or leave it out of the model.",
    "not zeroed": "Call zero_grad() before each backward pass, unless you sum batches on purpose.",
    "underflow": "Scale the loss and divide the gradients, or take a wider floating-point type.",
    "zero weights": "Draw random weights; zeros are for biases.",
    "symmetric": "Draw random weights, or add noise: no optimiser tells equal units apart.",
    "unscaled inputs": "Centre the inputs and divide by their standard deviation.",
    "penalty": "At rest, not finished. If the loss is high, lower the weight decay.",
    "dead": "Draw new weights, normalise, or lower the rate; next time centre the inputs.",
    "saturated": "Normalise before the activation, or draw new, smaller weights.",
    "exploding": "Draw weights by the rule for the activation, normalise, or clip the gradients.",
    "finished": "If the loss is low enough, training is done.",
    "saddle": "Add noise to the weights, use momentum or Adam, or wait.",
    "vanishing": "Normalise, add shortcuts, or take ReLU and He's weights. Clipping is no help.",
    "plateau": "Start elsewhere, or take a loss that slopes far from its minimum.",
    # notes
    "eval mode": "If you train like this, call model.train() first.",
}
