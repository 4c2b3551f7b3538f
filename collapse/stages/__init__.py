"""One function a door: (parameters, workspace) -> measurements. Here the parts are composed.

The stages, by the names of their entry points: prepare, judge, baseline, recurse_step, quality,
benchmark, hessian, svd_probe, surgery, mechanism.

What is done before any of them:

    plan         what depends on what: arms x seeds x generations as ordered steps
    fingerprint  what fixes the result of a step, so that it need not run twice

What makes a generation:

    arms         what it is trained on, and the ledger that proves it
    generation   its training, the same for the first and for all that follow
    learning     by gradient descent, or for some presets in closed form
    teaching     text and distributions of a teacher
    schedule     weights kept on the way
    synthesis    what it writes for the next one, and how that text looks; writing: not sampled

What looks at one:

    likelihood   of whole documents, taken alike by all stages
    probe_batch  the fixed batches of tokens
    dynamics     scores of the weights kept on the way
    spectra      a spectrum as metrics and as a file; peer_spectrum: through PyHessian

Where it happens:

    workspace    where a stage reads and writes; texts: documents on disk between stages
    pieces       finished parts of a long computation, for the next call to go on from
    device       where a stage computes; memory: how much there is
"""
