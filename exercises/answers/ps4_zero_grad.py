"""Answers that test the checks of problem set 4, Forgetting zero_grad."""

from grading import Right, Wrong


def changed(code, **by):
    """Return code with the marked pieces of text replaced; each must be there."""
    for name, text in by.items():
        assert f"<{name}>" in code, name
        code = code.replace(f"<{name}>", text)
    return code


ACCUMULATE = """
def accumulate(model, criterion, optimizer, parts, max_norm):
    optimizer.zero_grad()
    rows, total = 0, 0.0
    for x, y in parts:
        total += <loss>
        model.backward(<share> * criterion.backward())
        rows += len(x)
        <each>
    for p in model.parameters():
        p.grad /= <rows>
    <clip>
    optimizer.step()
    return total / <all>
"""


def accumulated(**by):
    """Return the solution of `accumulate` with some of its pieces changed."""
    usual = {
        "loss": "len(x) * criterion(model(x), y)",
        "share": "len(x)",
        "each": "pass",
        "rows": "rows",
        "clip": "gnb.clip_grad_norm_(model.parameters(), max_norm)",
        "all": "rows",
    }
    return changed(ACCUMULATE, **usual | by)


PLAY = """
def play(generator, critic, g_optimizer, c_optimizer, z, real):
    mse = gnb.MSELoss()
    fake = generator(z)
    <start>
    mse(critic(real), np.ones((len(real), 1)))
    critic.backward(mse.backward())
    <between>
    mse(critic(fake), np.zeros((len(fake), 1)))
    <down>critic.backward(mse.backward())<close>
    <step>
    <before>
    mse(critic(fake), <wanted>)
    generator.backward(<sign>critic.backward(mse.backward()))
    <late>
    g_optimizer.step()
    <end>
"""


def played(**by):
    """Return the solution of `play` with some of its pieces changed."""
    usual = {
        "start": "c_optimizer.zero_grad()",
        "between": "pass",
        "down": "",
        "close": "",
        "step": "c_optimizer.step()",
        "before": "g_optimizer.zero_grad()",
        "wanted": "np.ones((len(fake), 1))",
        "sign": "",
        "late": "pass",
        "end": "pass",
    }
    return changed(PLAY, **usual | by)


AUDIT = """
def audit(model, batches, states, lr):
    criterion, found = gnb.CrossEntropyLoss(), []
    before = [np.zeros_like(p.data) for p in model.parameters()]
    for i, (x, y) in enumerate(batches):
        model.load_state_dict(states[<at>])
        <zero>
        criterion(model(x), y)
        model.backward(criterion.backward())
        rows, read = [], []
        for (name, p), old in zip(model.named_parameters(), before):
            G, g = (states[i][name] - states[i + 1][name])<lr>, p.grad
            <solve>
            rows.append([a, b])
            read.append(<kept>)
        found.append(rows)
        before = read
    return np.array(found)
"""


def audited(**by):
    """Return the solution of `audit` with some of its pieces changed."""
    usual = {
        "at": "i",
        "zero": "model.zero_grad()",
        "lr": " / lr",
        "solve": "A = np.stack([g.ravel(), old.ravel()], 1); "
        "a, b = np.linalg.lstsq(A, G.ravel())[0]",
        "kept": "G",
    }
    return changed(AUDIT, **usual | by)


WRONG = [
    Wrong(
        "uses",
        "forgets that the loop ends",
        """
        def uses(steps, every):
            return every - np.arange(steps) % every
        """,
        ["the end"],
    ),
    Wrong(
        "uses",
        "never empties the buffer",
        """
        def uses(steps, every):
            return steps - np.arange(steps)
        """,
        ["whole groups", "the end"],
    ),
    Wrong(
        "uses",
        "one too few",
        """
        def uses(steps, every):
            step = np.arange(steps)
            return np.minimum((step // every + 1) * every, steps) - step - 1
        """,
        ["whole groups", "the end"],
    ),
    Wrong(
        "uses",
        "fails if there is no rest",
        """
        def uses(steps, every):
            count = every - np.arange(steps) % every
            rest = steps % every
            count[-rest:] = np.arange(rest, 0, -1)
            return count
        """,
        ["whole groups"],
    ),
    Wrong(
        "uses",
        "counts how many lie in the buffer",
        """
        def uses(steps, every):
            return np.arange(steps) % every + 1
        """,
        ["whole groups", "the end"],
    ),
    Wrong(
        "uses",
        "cuts each group at the number of steps",
        """
        def uses(steps, every):
            return np.minimum(every - np.arange(steps) % every, steps)
        """,
        ["the end"],
    ),
    Wrong(
        "uses",
        "right for one self-check only",
        """
        def uses(steps, every):
            return np.array([3, 2, 1, 3, 2, 1])[:steps]
        """,
        ["whole groups", "the end"],
    ),
    Wrong(
        "read-swing",
        "forgets the rate in the curvature",
        """
        def read_swing(w, lr):
            bend = w[2:] - 2 * w[1:-1] + w[:-2]
            slope, height = np.polyfit(w[1:-1], bend, 1)
            lowest = -height / slope
            stale = (w[0] - w[1] + slope * (w[0] - lowest)) / lr
            return -slope, lowest, stale
        """,
        ["valley"],
    ),
    Wrong(
        "read-swing",
        "takes the whole first step for stale",
        """
        def read_swing(w, lr):
            bend = w[2:] - 2 * w[1:-1] + w[:-2]
            slope, height = np.polyfit(w[1:-1], bend, 1)
            return -slope / lr, -height / slope, (w[0] - w[1]) / lr
        """,
        ["stale"],
    ),
    Wrong(
        "read-swing",
        "has the sign of the stale gradient wrong",
        """
        def read_swing(w, lr):
            bend = w[2:] - 2 * w[1:-1] + w[:-2]
            slope, height = np.polyfit(w[1:-1], bend, 1)
            curvature, lowest = -slope / lr, -height / slope
            return curvature, lowest, (w[1] - w[0]) / lr + curvature * (w[0] - lowest)
        """,
        ["stale"],
    ),
    Wrong(
        "read-swing",
        "takes the mean for the lowest point",
        """
        def read_swing(w, lr):
            lowest = w.mean()
            bend = w[2:] - 2 * w[1:-1] + w[:-2]
            inner = w[1:-1] - lowest
            curvature = -(bend @ inner) / (inner @ inner) / lr
            return curvature, lowest, (w[0] - w[1]) / lr - curvature * (w[0] - lowest)
        """,
        ["valley", "stale"],
    ),
    Wrong(
        "read-swing",
        "believes that the valley lies at 0",
        """
        def read_swing(w, lr):
            bend = w[2:] - 2 * w[1:-1] + w[:-2]
            curvature = -np.mean(bend / w[1:-1]) / lr
            return curvature, 0.0, (w[0] - w[1]) / lr - curvature * w[0]
        """,
        ["valley", "stale"],
    ),
    Wrong(
        "read-swing",
        "believes that the loop zeroes",
        """
        def read_swing(w, lr):
            slope, height = np.polyfit(w[:-1], np.diff(w), 1)
            return -slope / lr, -height / slope, 0.0
        """,
        ["valley", "stale"],
    ),
    Wrong(
        "read-swing",
        "counts crossings",
        """
        def read_swing(w, lr):
            lowest = (w.max() + w.min()) / 2
            crossings = np.count_nonzero(np.diff(np.sign(w - lowest)))
            omega = np.pi * crossings / (len(w) - 1)
            curvature = 2 * (1 - np.cos(omega)) / lr
            return curvature, lowest, (w[0] - w[1]) / lr - curvature * (w[0] - lowest)
        """,
        ["valley", "stale"],
    ),
    Wrong(
        "read-swing",
        "pairs each bend with the weight before",
        """
        def read_swing(w, lr):
            bend = w[2:] - 2 * w[1:-1] + w[:-2]
            slope, height = np.polyfit(w[:-2], bend, 1)
            curvature, lowest = -slope / lr, -height / slope
            return curvature, lowest, (w[0] - w[1]) / lr - curvature * (w[0] - lowest)
        """,
        ["valley", "stale"],
    ),
    Wrong(
        "decay",
        "rests where decay would pull it",
        """
        H = 2 / len(X) * X.T @ X
        rest = np.linalg.solve(H + DECAY * np.eye(3), 2 / len(X) * X.T @ t)
        curvatures = np.linalg.eigvalsh(H)
        edge = 4 / (curvatures.max() + 2 * DECAY)
        b = 1 - LR * DECAY
        slow = max(np.abs(np.roots([1, LR * c - 1 - b, b])).max() for c in curvatures)
        """,
        ["rest"],
    ),
    Wrong(
        "decay",
        "forgets decay in the edge and the narrow valley",
        """
        rest = np.linalg.lstsq(X, t)[0]
        edge = 4 / np.linalg.eigvalsh(2 / len(X) * X.T @ X).max()
        slow = np.sqrt(1 - LR * DECAY)
        """,
        ["edge", "slow"],
    ),
    Wrong(
        "decay",
        "counts the decay once in the edge",
        """
        rest = np.linalg.lstsq(X, t)[0]
        curvatures = np.linalg.eigvalsh(2 / len(X) * X.T @ X)
        edge = 4 / (curvatures.max() + DECAY)
        b = 1 - LR * DECAY
        slow = max(np.abs(np.roots([1, LR * c - 1 - b, b])).max() for c in curvatures)
        """,
        ["edge"],
    ),
    Wrong(
        "decay",
        "thinks of plain descent",
        """
        H = 2 / len(X) * X.T @ X + DECAY * np.eye(3)
        rest = np.linalg.solve(H, 2 / len(X) * X.T @ t)
        edge = 2 / np.linalg.eigvalsh(H).max()
        slow = np.abs(1 - LR * np.linalg.eigvalsh(H)).max()
        """,
        ["rest", "edge", "slow"],
    ),
    Wrong(
        "decay",
        "forgets the 2 of the square",
        """
        rest = np.linalg.lstsq(X, t)[0]
        curvatures = np.linalg.eigvalsh(X.T @ X / len(X))
        edge = 4 / (curvatures.max() + 2 * DECAY)
        b = 1 - LR * DECAY
        slow = max(np.abs(np.roots([1, LR * c - 1 - b, b])).max() for c in curvatures)
        """,
        ["edge", "slow"],
    ),
    Wrong(
        "decay",
        "takes the direction that shrinks fastest",
        """
        rest = np.linalg.lstsq(X, t)[0]
        curvatures = np.linalg.eigvalsh(2 / len(X) * X.T @ X)
        edge = 4 / (curvatures.max() + 2 * DECAY)
        b = 1 - LR * DECAY
        slow = min(np.abs(np.roots([1, LR * c - 1 - b, b])).min() for c in curvatures)
        """,
        ["slow"],
    ),
    Wrong(
        "decay",
        "runs the loop and reads three digits off",
        """
        def run(lr, steps):
            w = gnb.Parameter(np.ones(3))
            optimizer, path = gnb.SGD([w], lr=lr, weight_decay=DECAY), []
            for _ in range(steps):
                w.grad += 2 / len(X) * X.T @ (X @ w.data - t)
                optimizer.step()
                path.append(w.data.copy())
            return np.array(path)

        path = run(LR, 3000)
        rest = path[-1]
        far = np.linalg.norm(path - rest, axis=1)
        slow = round((far[200] / far[100]) ** 0.01, 3)
        edge = next(lr for lr in np.arange(0.2, 1, 0.01) if np.abs(run(lr, 100)).max() > 1e4)
        """,
        ["edge", "slow"],
    ),
    Wrong("accumulate", "adds and never divides", accumulated(rows="1"), ["whole batch", "stale"]),
    Wrong(
        "accumulate",
        "divides by the number of parts",
        """
        def accumulate(model, criterion, optimizer, parts, max_norm):
            parts = list(parts)
            optimizer.zero_grad()
            total = 0
            for x, y in parts:
                total += criterion(model(x), y) / len(parts)
                model.backward(criterion.backward() / len(parts))
            gnb.clip_grad_norm_(model.parameters(), max_norm)
            optimizer.step()
            return total
        """,
        ["whole batch", "clipped", "loss"],
    ),
    Wrong(
        "accumulate",
        "clips each part",
        accumulated(each="gnb.clip_grad_norm_(model.parameters(), max_norm)", clip="pass"),
        ["clipped"],
    ),
    Wrong(
        "accumulate",
        "clips the sum before it divides",
        """
        def accumulate(model, criterion, optimizer, parts, max_norm):
            optimizer.zero_grad()
            rows, total = 0, 0.0
            for x, y in parts:
                total += len(x) * criterion(model(x), y)
                model.backward(len(x) * criterion.backward())
                rows += len(x)
            gnb.clip_grad_norm_(model.parameters(), max_norm)
            for p in model.parameters():
                p.grad /= rows
            optimizer.step()
            return total / rows
        """,
        ["clipped"],
    ),
    Wrong(
        "accumulate",
        "clips each parameter by itself",
        accumulated(clip="[gnb.clip_grad_norm_([p], max_norm) for p in model.parameters()]"),
        ["clipped"],
    ),
    Wrong(
        "accumulate",
        "empties the buffers after the step only",
        accumulated().replace("optimizer.zero_grad()", "pass") + "    optimizer.zero_grad()\n",
        ["stale"],
    ),
    Wrong(
        "accumulate",
        "trusts that the buffers are empty",
        accumulated().replace("optimizer.zero_grad()", "pass"),
        ["stale"],
    ),
    Wrong(
        "accumulate",
        "empties the buffers before each part",
        accumulated(each="pass").replace("total +=", "optimizer.zero_grad(); total +="),
        ["whole batch", "clipped", "stale"],
    ),
    Wrong(
        "accumulate",
        "returns the mean of the parts' means",
        """
        def accumulate(model, criterion, optimizer, parts, max_norm):
            optimizer.zero_grad()
            rows, losses = 0, []
            for x, y in parts:
                losses.append(criterion(model(x), y))
                model.backward(len(x) * criterion.backward())
                rows += len(x)
            for p in model.parameters():
                p.grad /= rows
            gnb.clip_grad_norm_(model.parameters(), max_norm)
            optimizer.step()
            return np.mean(losses)
        """,
        ["loss"],
    ),
    Wrong(
        "accumulate",
        "returns the last part's loss",
        """
        def accumulate(model, criterion, optimizer, parts, max_norm):
            optimizer.zero_grad()
            rows = 0
            for x, y in parts:
                loss = criterion(model(x), y)
                model.backward(len(x) * criterion.backward())
                rows += len(x)
            for p in model.parameters():
                p.grad /= rows
            gnb.clip_grad_norm_(model.parameters(), max_norm)
            optimizer.step()
            return loss
        """,
        ["loss"],
    ),
    Wrong(
        "accumulate",
        "goes through the parts twice",
        """
        def accumulate(model, criterion, optimizer, parts, max_norm):
            optimizer.zero_grad()
            rows, total = sum(len(x) for x, _ in parts), 0.0
            for x, y in parts:
                total += len(x) / rows * criterion(model(x), y)
                model.backward(len(x) / rows * criterion.backward())
            gnb.clip_grad_norm_(model.parameters(), max_norm)
            optimizer.step()
            return total
        """,
        ["whole batch", "clipped", "loss", "stale"],
    ),
    Wrong(
        "play",
        "is not repaired",
        """
        def play(generator, critic, g_optimizer, c_optimizer, z, real):
            mse = gnb.MSELoss()
            fake = generator(z)
            c_optimizer.zero_grad()
            mse(critic(real), np.ones((len(real), 1)))
            critic.backward(mse.backward())
            c_optimizer.zero_grad()
            mse(critic(fake), np.zeros((len(fake), 1)))
            generator.backward(critic.backward(mse.backward()))
            mse(critic(fake), np.ones((len(fake), 1)))
            generator.backward(critic.backward(mse.backward()))
            c_optimizer.step()
            g_optimizer.step()
        """,
        ["critic", "generator", "stale"],
    ),
    Wrong(
        "play",
        "loses the real rows",
        played(between="c_optimizer.zero_grad()"),
        ["critic", "stale"],
    ),
    Wrong(
        "play",
        "leaves the critic's loss in the generator",
        played(
            start="c_optimizer.zero_grad(); g_optimizer.zero_grad()",
            down="generator.backward(",
            close=")",
            before="pass",
        ),
        ["generator", "stale"],
    ),
    Wrong(
        "play",
        "empties after the steps only",
        played(start="pass", before="pass", end="c_optimizer.zero_grad(); g_optimizer.zero_grad()"),
        ["stale"],
    ),
    Wrong(
        "play",
        "empties its own after each step",
        played(
            start="pass",
            step="c_optimizer.step(); c_optimizer.zero_grad()",
            before="pass",
            end="g_optimizer.zero_grad()",
        ),
        ["stale"],
    ),
    Wrong(
        "play",
        "lets the critic step last",
        played(step="pass", end="c_optimizer.step()"),
        ["critic", "generator", "stale"],
    ),
    Wrong(
        "play",
        "judges by the critic before its step",
        """
        def play(generator, critic, g_optimizer, c_optimizer, z, real):
            mse = gnb.MSELoss()
            fake = generator(z)
            g_optimizer.zero_grad()
            mse(critic(fake), np.ones((len(fake), 1)))
            generator.backward(critic.backward(mse.backward()))
            c_optimizer.zero_grad()
            mse(critic(real), np.ones((len(real), 1)))
            critic.backward(mse.backward())
            mse(critic(fake), np.zeros((len(fake), 1)))
            critic.backward(mse.backward())
            c_optimizer.step()
            g_optimizer.step()
        """,
        ["generator", "stale"],
    ),
    Wrong(
        "play",
        "averages over real and made rows together",
        """
        def play(generator, critic, g_optimizer, c_optimizer, z, real):
            mse = gnb.MSELoss()
            fake = generator(z)
            rows = np.concatenate([real, fake])
            wanted = np.concatenate([np.ones((len(real), 1)), np.zeros((len(fake), 1))])
            c_optimizer.zero_grad()
            mse(critic(rows), wanted)
            critic.backward(mse.backward())
            c_optimizer.step()
            g_optimizer.zero_grad()
            mse(critic(fake), np.ones((len(fake), 1)))
            generator.backward(critic.backward(mse.backward()))
            g_optimizer.step()
        """,
        ["critic", "stale"],
    ),
    Wrong(
        "play",
        "fools the critic the wrong way",
        played(wanted="np.zeros((len(fake), 1))", sign="-"),
        ["generator", "stale"],
    ),
    Wrong(
        "play",
        "passes forward twice before it passes backward",
        """
        def play(generator, critic, g_optimizer, c_optimizer, z, real):
            on_real, on_fake = gnb.MSELoss(), gnb.MSELoss()
            fake = generator(z[: len(real)])
            real = real[: len(fake)]
            judged, made = critic(real), critic(fake)
            c_optimizer.zero_grad()
            on_real(judged, np.ones_like(judged))
            on_fake(made, np.zeros_like(made))
            critic.backward(on_real.backward())
            critic.backward(on_fake.backward())
            c_optimizer.step()
            g_optimizer.zero_grad()
            fake = generator(z)
            on_fake(critic(fake), np.ones((len(fake), 1)))
            generator.backward(critic.backward(on_fake.backward()))
            g_optimizer.step()
        """,
        ["critic", "stale"],
    ),
    Wrong(
        "audit",
        "forgets zero_grad itself",
        audited(zero="pass"),
        ["forgotten", "factors", "by layer"],
    ),
    Wrong(
        "audit",
        "takes the gradient after the step",
        audited(at="i + 1"),
        ["forgotten", "factors", "by layer"],
    ),
    Wrong("audit", "forgets the rate", audited(lr=""), ["forgotten", "factors", "by layer"]),
    Wrong(
        "audit",
        "takes it that each gradient was added once",
        audited(solve="a = 1.0; b = np.vdot(old, G - g) / np.vdot(old, old) if old.any() else 0.0"),
        ["factors", "by layer"],
    ),
    Wrong(
        "audit",
        "takes the fresh gradient before for what was read",
        audited(kept="g.copy()"),
        ["forgotten", "by layer"],
    ),
    Wrong(
        "audit",
        "looks for factors only",
        audited(solve="a, b = np.vdot(g, G) / np.vdot(g, g), 0.0"),
        ["forgotten", "by layer"],
    ),
    Wrong(
        "audit",
        "finds each factor without regard to the other",
        audited(
            solve="a = np.vdot(g, G) / np.vdot(g, g); "
            "b = np.vdot(old, G) / np.vdot(old, old) if old.any() else 0.0"
        ),
        ["forgotten", "factors", "by layer"],
    ),
    Wrong(
        "audit",
        "rounds to whole numbers",
        audited(
            solve="A = np.stack([g.ravel(), old.ravel()], 1); "
            "a, b = np.linalg.lstsq(A, G.ravel())[0].round()"
        ),
        ["factors", "by layer"],
    ),
    Wrong(
        "audit",
        "divides by a buffer of nothing",
        audited(
            solve="A = np.stack([g.ravel(), old.ravel()], 1)[:, : 2 if i else 1]; "
            "a, b = [*np.linalg.solve(A.T @ A, A.T @ G.ravel()), 0.0][:2]"
        ),
        ["factors", "by layer"],
    ),
    Wrong(
        "audit",
        "finds one pair for all parameters",
        """
        def audit(model, batches, states, lr):
            criterion, found, before = gnb.CrossEntropyLoss(), [], 0.0
            for i, (x, y) in enumerate(batches):
                model.load_state_dict(states[i])
                model.zero_grad()
                criterion(model(x), y)
                model.backward(criterion.backward())
                g = np.concatenate([p.grad.ravel() for p in model.parameters()])
                names = [name for name, _ in model.named_parameters()]
                G = [(states[i][n] - states[i + 1][n]).ravel() / lr for n in names]
                G = np.concatenate(G)
                A = np.stack([g, before + np.zeros_like(g)], axis=1)
                found.append([np.linalg.lstsq(A, G)[0]] * len(names))
                before = G
            return np.array(found)
        """,
        ["by layer"],
    ),
    Wrong(
        "accumulate",
        "divides the rate and not the gradients",
        """
        def accumulate(model, criterion, optimizer, parts, max_norm):
            optimizer.zero_grad()
            total = rows = 0
            for x, y in parts:
                total += criterion(model(x), y) * len(x)
                model.backward(criterion.backward() * len(x))
                rows += len(x)
            gnb.clip_grad_norm_(model.parameters(), max_norm * rows)
            optimizer.lr /= rows
            optimizer.step()
            optimizer.lr *= rows
            return total / rows
        """,
        ["whole batch", "clipped", "stale"],
    ),
    Wrong(
        "accumulate",
        "lengthens short gradients to the bound",
        """
        def accumulate(model, criterion, optimizer, parts, max_norm):
            optimizer.zero_grad()
            total = rows = 0
            for x, y in parts:
                total += criterion(model(x), y) * len(x)
                model.backward(criterion.backward() * len(x))
                rows += len(x)
            length = math.sqrt(sum(np.sum(p.grad**2) for p in model.parameters()))
            for p in model.parameters():
                p.grad *= max_norm / length if max_norm < math.inf else 1 / rows
            optimizer.step()
            return total / rows
        """,
        ["whole batch"],
    ),
    Wrong(
        "play",
        "makes optimisers of its own",
        played(
            start="""g_optimizer = gnb.SGD(generator.parameters(), lr=g_optimizer.lr)
    c_optimizer = gnb.SGD(critic.parameters(), lr=c_optimizer.lr)
    c_optimizer.zero_grad()"""
        ),
        ["critic", "generator", "stale"],
    ),
]

RIGHT = [
    Right(
        "uses",
        "counted in a loop",
        """
        def uses(steps, every):
            count, start = [0] * steps, 0
            for step in range(steps):
                if step % every == 0:
                    start = step
                for j in range(start, step + 1):
                    count[j] += 1
            return count
        """,
    ),
    Right(
        "uses",
        "group by group, as floats",
        """
        def uses(steps, every):
            groups = [min(every, steps - i) for i in range(0, steps, every)]
            return np.concatenate([np.arange(n, 0.0, -1.0) for n in groups])
        """,
    ),
    Right(
        "uses",
        "from the end of the group, in float32",
        """
        def uses(steps, every):
            step = np.arange(steps)
            full = every - step % every
            return np.where(step + full > steps, steps - step, full).astype(np.float32)
        """,
    ),
    Right(
        "read-swing",
        "from four weights",
        """
        def read_swing(w, lr):
            bends = np.diff(w, 2)
            i = np.abs(np.diff(w[1:-1])).argmax()
            curvature = (bends[i] - bends[i + 1]) / (w[i + 2] - w[i + 1]) / lr
            lowest = w[i + 1] + bends[i] / (lr * curvature)
            return [curvature, lowest, (w[0] - w[1]) / lr - curvature * (w[0] - lowest)]
        """,
    ),
    Right(
        "read-swing",
        "by least squares for all three",
        """
        def read_swing(w, lr):
            n = np.arange(1, len(w))
            A = np.stack([np.cumsum(w[:-1]), -n, np.ones(len(n))], axis=1)
            slope, height, stale = np.linalg.lstsq(A, -np.diff(w) / lr)[0]
            return np.array([slope, height / slope, stale])
        """,
    ),
    Right(
        "read-swing",
        "by a line through bends, stale from the second step",
        """
        def read_swing(w, lr):
            bend, inner = np.diff(w, 2), w[1:-1]
            centred = inner - inner.mean()
            slope = sum(b * c for b, c in zip(bend, centred)) / (centred @ centred)
            lowest = inner.mean() - bend.mean() / slope
            curvature = -slope / lr
            two = curvature * (w[0] + w[1] - 2 * lowest)
            return (np.array(curvature), float(lowest), (w[1] - w[2]) / lr - two)
        """,
    ),
    Right(
        "decay",
        "by the matrix of a step and bisection",
        """
        H = 2 / len(X) * X.T @ X
        rest = np.linalg.solve(H, 2 / len(X) * X.T @ t)

        def growth(lr):
            step = [[np.eye(3) - lr * (H + DECAY * np.eye(3)), -lr * np.eye(3)], [H, np.eye(3)]]
            return np.abs(np.linalg.eigvals(np.block(step))).max()

        low, high = 0.0001, 4.0
        for _ in range(60):
            edge = (low + high) / 2
            low, high = (edge, high) if growth(edge) < 1 else (low, edge)
        slow = growth(LR)
        """,
    ),
    Right(
        "decay",
        "by the quadratic formula",
        """
        curvatures, directions = np.linalg.eigh(2 / len(X) * X.T @ X)
        rest = directions @ (directions.T @ (2 / len(X) * X.T @ t) / curvatures)
        edge = 2 / (max(curvatures) / 2 + DECAY)
        half = 1 - LR * (curvatures + DECAY) / 2
        root = np.sqrt((half**2 - (1 - LR * DECAY)).astype(complex))
        slow = np.abs([half + root, half - root]).max()
        """,
    ),
    Right(
        "decay",
        "with the singular values of X, in single precision where that suffices",
        """
        U, s, V = np.linalg.svd(X, full_matrices=False)
        rest = (U.T @ t / s) @ V
        edge = np.float32(4 / (2 * s[0] ** 2 / 40 + 2))
        c = 2 * s[2] ** 2 / 40
        a, b = 2 - LR * (c + 1), 1 - LR
        slow = (a + np.sqrt(a * a - 4 * b)) / 2
        """,
    ),
    Right(
        "accumulate",
        "from a list, by shares",
        """
        def accumulate(model, criterion, optimizer, parts, max_norm):
            parts = list(parts)
            rows = sum(len(x) for x, _ in parts)
            model.zero_grad()
            losses = []
            for x, y in reversed(parts):
                losses.append(criterion(model(x), y) * len(x) / rows)
                model.backward(criterion.backward() * (len(x) / rows))
            gnb.clip_grad_norm_(model.parameters(), max_norm)
            optimizer.step()
            return np.array(losses).sum(keepdims=True)
        """,
    ),
    Right(
        "accumulate",
        "as one batch after all",
        """
        def accumulate(model, criterion, optimizer, parts, max_norm):
            xs, ys = zip(*parts)
            x, y = np.concatenate(xs), np.concatenate(ys)
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            model.backward(criterion.backward())
            gnb.clip_grad_norm_(model.parameters(), max_norm)
            optimizer.step()
            return loss
        """,
    ),
    Right(
        "accumulate",
        "as a running mean, clipped by hand",
        """
        def accumulate(model, criterion, optimizer, parts, max_norm):
            params = list(model.parameters())
            mean, rows, loss = [0.0] * len(params), 0, 0.0
            for x, y in parts:
                for p in params:
                    p.zero_grad()
                part = criterion(model(x), y)
                model.backward(criterion.backward())
                rows += len(x)
                share = len(x) / rows
                loss += share * (part - loss)
                mean = [m + share * (p.grad - m) for m, p in zip(mean, params)]
            norm = math.sqrt(sum((m**2).sum() for m in mean))
            for p, m in zip(params, mean):
                p.grad[...] = m * min(1, max_norm / norm)
            optimizer.step()
            return np.float64(loss)
        """,
    ),
    Right(
        "play",
        "makes the rows anew and empties everything",
        """
        def play(generator, critic, g_optimizer, c_optimizer, z, real):
            mse = gnb.MSELoss()
            for optimizer in (g_optimizer, c_optimizer):
                optimizer.zero_grad()
            fake = generator(z)
            mse(critic(fake), np.zeros((len(z), 1)))
            critic.backward(mse.backward())
            mse(critic(real), np.ones((len(real), 1)))
            critic.backward(mse.backward())
            c_optimizer.step()
            generator.zero_grad()
            critic.zero_grad()
            mse(critic(generator(z)), np.ones((len(z), 1)))
            generator.backward(critic.backward(mse.backward()))
            g_optimizer.step()
        """,
    ),
    Right(
        "play",
        "in one batch with shares",
        """
        def play(generator, critic, g_optimizer, c_optimizer, z, real):
            fake = generator(z)
            n, m = len(real), len(fake)
            wanted = np.repeat([[1.0], [0.0]], [n, m], axis=0)
            share = np.repeat([[2 / n], [2 / m]], [n, m], axis=0)
            c_optimizer.zero_grad()
            judged = critic(np.concatenate([real, fake]))
            critic.backward(share * (judged - wanted))
            c_optimizer.step()
            g_optimizer.zero_grad()
            generator.backward(critic.backward((critic(fake) - 1) * (2 / m)))
            g_optimizer.step()
        """,
    ),
    Right(
        "play",
        "passes the critic's loss down and empties it",
        played(down="generator.backward(", close=")", end="c_optimizer.zero_grad()"),
    ),
    Right(
        "audit",
        "by the normal equations",
        audited(
            solve="gg, go, oo = np.vdot(g, g), np.vdot(g, old), np.vdot(old, old); "
            "M = np.array([[gg, go], [go, oo if oo else 1.0]]); "
            "a, b = np.linalg.solve(M, [np.vdot(g, G), np.vdot(old, G)])"
        ),
    ),
    Right(
        "audit",
        "by taking the fresh direction away first",
        audited(
            solve="u = old - np.vdot(g, old) / np.vdot(g, g) * g; "
            "b = np.vdot(u, G) / np.vdot(u, u) if old.any() else 0.0; "
            "a = np.vdot(g, G - b * old) / np.vdot(g, g)"
        ),
    ),
    Right(
        "audit",
        "with all gradients first, in single precision at the end",
        """
        def audit(model, batches, states, lr):
            names = [name for name, _ in model.named_parameters()]
            criterion, fresh = gnb.CrossEntropyLoss(), []
            for state, (x, y) in zip(states, batches):
                model.load_state_dict(state)
                model.zero_grad()
                criterion(model(x), y)
                model.backward(criterion.backward())
                fresh.append([p.grad.copy() for p in model.parameters()])
            result = np.zeros((len(batches), len(names), 2))
            for k, name in enumerate(names):
                path = np.array([state[name].ravel() for state in states])
                read = -np.diff(path, axis=0) / lr
                for i, G in enumerate(read):
                    g = fresh[i][k].ravel()
                    if i == 0 or not read[i - 1].any():
                        result[i, k, 0] = G @ g / (g @ g)
                    else:
                        A = np.stack([g, read[i - 1]])
                        result[i, k] = np.linalg.pinv(A.T) @ G
            return result.astype(np.float32)
        """,
    ),
]
