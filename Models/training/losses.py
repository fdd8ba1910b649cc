"""The training loss: coarse and fine scores between images and captions, structure inside a modality, the scene, what teachers
say, and where things lie.

Shapes: B images, C different captions, d dimensions, N patches, M words. All rows of g, P, t, W have unit norm.
Every function is plain arithmetic on fp32 tensors; what is learned (temperatures, the scene classifier) is passed in.
"""
import torch
import torch.nn.functional as F


def nce(scores, positives):
    """Symmetric cross-entropy of scores [B, C] whose targets are spread evenly over the positives bool[B, C].

    A row or column without a positive counts nothing.
    """

    def one_way(s, p):
        has = p.any(1)
        target = p[has].to(s.dtype)
        return -((target / target.sum(1, keepdim=True)) * s[has].log_softmax(1)).sum(1).mean()

    return (one_way(scores, positives) + one_way(scores.T, positives.T)) / 2


def attended(a, gram, global_guide, global_patch, beta, tau):
    """<u^, guide> of the balanced interaction without forming the pooled vector.

    a [B, Q, N]: <p_j, guide_q>; gram [B, N, N]: P P^T; global_guide [B, Q]: <g, guide_q>; global_patch [B, N]: <g, p_j>.
    With w = softmax(a / tau), v = sum_j w_j p_j, u = (1 - beta) g + beta v / |v|:  [B, Q].
    """
    w = (a / tau).softmax(-1)
    norm = ((w @ gram) * w).sum(-1).clamp_min(1e-12).sqrt()
    gv = (w @ global_patch.unsqueeze(-1)).squeeze(-1) / norm
    vt = (w * a).sum(-1) / norm
    length = ((1 - beta) ** 2 + beta**2 + 2 * beta * (1 - beta) * gv).clamp_min(1e-12).sqrt()
    return ((1 - beta) * global_guide + beta * vt) / length


def sentence_scores(g, P, t, beta, tau):
    """s_f of every image with every caption, guided by the sentence: [B, C]."""
    a = torch.einsum("bnd,cd->bcn", P, t)
    return attended(a, P @ P.transpose(1, 2), g @ t.T, (P @ g.unsqueeze(-1)).squeeze(-1), beta, tau)


def word_scores(g, P, W, weights, beta, tau):
    """s_f of every image with every caption, guided by its words: the mean over the words of a caption: [B, C].

    W [C, M, d]; weights [C, M] >= 0, zero where there is no word.
    """
    C, M, d = W.shape
    rows = W.reshape(C * M, d)
    a = torch.einsum("bnd,qd->bqn", P, rows)
    s = attended(a, P @ P.transpose(1, 2), g @ rows.T, (P @ g.unsqueeze(-1)).squeeze(-1), beta, tau).view(len(g), C, M)
    return (s * weights).sum(-1) / weights.sum(-1).clamp_min(1e-12)


def structure(g, t, positives):
    """mean_jk (<g_j, g_k> - <t_j, t_k>)^2 over the images of a batch, t_j being the mean of image j's captions."""
    share = positives.to(g.dtype) / positives.sum(1, keepdim=True).clamp_min(1)
    text = F.normalize(share @ t, dim=-1)
    return (g @ g.T - text @ text.T).square().mean()


def agreement(g, P, t, W, weights, temperature):
    """Coarse and fine name the same thing inside a modality: NCE of g with pooled patches and of t with pooled words."""
    patches = F.normalize(P.mean(1), dim=-1)
    words = F.normalize((W * weights.unsqueeze(-1)).sum(1), dim=-1)
    eye = lambda n: torch.eye(n, dtype=torch.bool, device=g.device)
    return (nce(g @ patches.T / temperature, eye(len(g))) + nce(t @ words.T / temperature, eye(len(t)))) / 2


def scene(g, t, classes, scenes, positives, temperature):
    """Cross-entropy of the scene of images and of their captions with one shared row a scene.

    classes [S, d], unit norm; scenes int[B], -1 where an image has none. A caption counts once for every image it belongs to.
    """
    known = scenes >= 0
    if not known.any(): return g.sum() * 0
    image = F.cross_entropy(g[known] @ classes.T / temperature, scenes[known])
    i, j = positives[known].nonzero(as_tuple=True)
    text = F.cross_entropy(t[j] @ classes.T / temperature, scenes[known][i])
    return (image + text) / 2


def imitation(g, t, taught_g, taught_t):
    """Mean squared distance to the teachers' vectors: of images [V, d] and of captions [C, d], all of unit norm."""
    return ((g - taught_g).square().sum(1).mean() + (t - taught_t).square().sum(1).mean()) / 2


def imitated_patches(P, taught_P):
    """Mean squared distance of patches [V, N, d] to the teacher's, of unit norm, of the same ground."""
    return (P - taught_P).square().sum(-1).mean()


def ranking(g, t, taught_g, taught_t, tau):
    """Cross-entropy of the scores of images [V, d] with captions [C, d] against the teachers' scores, both ways, less its least
    value: the Kullback-Leibler divergence."""
    own, taught = g @ t.T / tau, taught_g @ taught_t.T / tau
    one_way = lambda a, b: F.kl_div(a.log_softmax(1), b.log_softmax(1), reduction="none", log_target=True).sum(1).mean()
    return (one_way(own, taught) + one_way(own.T, taught.T)) / 2


def pointing(P, guides, cells, tau):
    """-log of the share that the patches of a thing have in the softmax over an image's patches.

    P [R, N, d]; guides [R, Q, d]: what names the thing; cells bool[R, N]: where it lies.
    """
    a = torch.einsum("rnd,rqd->rqn", P, guides) / tau
    return (a.logsumexp(-1) - a.masked_fill(~cells[:, None], -torch.inf).logsumexp(-1)).mean()


def total(out, positives, scenes, recipe):
    """The weighted sum and its parts. A term of weight 0 is not computed.

    out: g [B, d], P [B, N, d], t [C, d], W [C, M, d], weights [C, M], classes [S, d], and the temperatures tau_c, tau_f, tau_w;
    with teachers all_g [V, d] and all_P [V, N, d] of all views, those without captions too, taught_g, taught_P and taught_t [C, d];
    with things whose place is known known_P [R, N, d], guides [R, Q, d], cells bool[R, N].
    """
    g, P, t, W, weights = (out[k] for k in ("g", "P", "t", "W", "weights"))
    beta, tau = recipe["beta"], recipe["tau"]
    # The words of some captions stand for all: pairs of patches and words are most of the loss's work.
    few = slice(recipe.get("worded_captions"))
    terms = {
        "coarse": lambda: nce(g @ t.T / out["tau_c"], positives),
        "sentence": lambda: nce(sentence_scores(g, P, t, beta, tau) / out["tau_f"], positives),
        # What patches find by themselves, and what they add to a recall that they cannot change.
        "alone": lambda: nce(sentence_scores(g, P, t, 1, tau) / out["tau_f"], positives),
        "residual": lambda: nce((g @ t.T).detach() / out["tau_c"].detach() + sentence_scores(g, P, t, 1, tau) / out["tau_f"], positives),
        "words": lambda: nce(word_scores(g, P, W[few], weights[few], beta, recipe["word_tau"]) / out["tau_w"], positives[:, few]),
        "structure": lambda: structure(g, t, positives),
        "agreement": lambda: agreement(g, P, t, W, weights, out["tau_c"]),
        "scene": lambda: scene(g, t, out["classes"], scenes, positives, out["tau_c"]),
        "imitation": lambda: imitation(out["all_g"], t, out["taught_g"], out["taught_t"]),
        "patches": lambda: imitated_patches(out["all_P"], out["taught_P"]),
        "ranking": lambda: ranking(out["all_g"], t, out["taught_g"], out["taught_t"], recipe["taught_tau"]),
        "pointing": lambda: pointing(out["known_P"], out["guides"], out["cells"], tau),
    }
    parts = {name: term() for name, term in terms.items() if recipe["weights"].get(name, 0) != 0}
    return sum(recipe["weights"][name] * value for name, value in parts.items()), parts
