"""The dashboard shows what was recorded, and copes with every kind of record."""

import io
import itertools
import warnings

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from gradnb import SGD, CrossEntropyLoss, GradientMonitor, Linear, mlp, plotting, read_log
from gradnb.dashboard import COLUMNS, DEPTH, GUIDE, dashboard
from gradnb.module import Parameter


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


class Named:
    def __init__(self, parameters):
        self.parameters = parameters

    def named_parameters(self):
        return self.parameters.items()


def monitor_of(norms, names=None, optimizer=False, **options):
    """Return a monitor that has recorded such norms, shape (steps, parameters)."""
    norms = np.asarray(norms, float)
    names = names or [f"{i}.weight" for i in range(norms.shape[1])]
    parameters = {name: Parameter(np.ones(4)) for name in names}
    if optimizer:
        optimizer = SGD(parameters.values(), lr=0.01)
    options = {"low": None, "high": None, "relative": None} | options
    monitor = GradientMonitor(Named(parameters), optimizer or None, **options)
    for row in norms:
        for p, value in zip(parameters.values(), row, strict=True):
            p.grad[...] = value / 2
            p.data[...] = 1
        with np.errstate(all="ignore"):
            (optimizer or monitor).step()
    return monitor


def trained(sizes=(6, 16, 16, 3), steps=40, **options):
    model = mlp([*sizes], rng=0)
    optimizer, criterion = SGD(model.parameters(), lr=0.1), CrossEntropyLoss()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, sizes[0])), rng.integers(0, sizes[-1], 32)
    with GradientMonitor(model, optimizer, **options) as monitor:
        for _ in range(steps):
            optimizer.zero_grad()
            criterion(model(x), y)
            model.backward(criterion.backward())
            optimizer.step()
    return monitor


def lines(ax):
    """Return the lines of the parameters, without those of alarms and of the guide."""
    return [line for line in ax.lines if line.get_color() not in (plotting.VERMILION, "#767676")]


def alarm_steps(ax):
    return [line.get_xdata()[0] for line in ax.lines if line.get_color() == plotting.VERMILION]


def written(ax):
    return [text.get_text() for text in ax.texts]


def note(ax):
    return ax.get_title(loc="right")


def drawn(figure):
    """Return the pixels; a warning is an error, as in all tests."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    return buffer.getvalue()


def test_each_panel_draws_its_figure_of_each_weight():
    monitor = trained()
    figure = monitor.dashboard()
    weights = ["0.weight", "2.weight", "4.weight"]
    for ax, name in zip(figure.axes, ["l2", "update_ratio", "zero_fraction"], strict=True):
        assert len(lines(ax)) == 3, "biases stay out where there are many"
        for i, weight in enumerate(weights):
            line = lines(ax)[i]
            np.testing.assert_array_equal(line.get_xdata(), np.arange(40))
            np.testing.assert_array_equal(line.get_ydata(), monitor.history(weight, name))
            assert mpl.colors.same_color(line.get_color(), DEPTH(i / 2))
        assert {"0.weight", "4.weight"} <= {*written(ax)} <= {*weights, "guide 10⁻³"}
    top, middle, bottom = figure.axes
    assert [ax.get_yscale() for ax in figure.axes] == ["log", "log", "linear"]
    assert "guide 10⁻³" in written(middle)
    (guide,) = [line for line in middle.lines if line.get_color() == plotting.GREY]
    assert list(guide.get_ydata()) == [GUIDE, GUIDE]
    assert middle.get_ylim()[0] < GUIDE < middle.get_ylim()[1]
    assert bottom.get_xlabel() == "step"
    assert top.get_shared_x_axes().joined(top, bottom)
    assert figure.get_size_inches()[0] == 6.4
    assert figure.get_suptitle() == "No alarm"


def test_few_parameters_are_all_drawn_and_named():
    figure = trained((6, 16, 3)).dashboard()
    names = {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert all(names <= {*written(ax)} for ax in figure.axes)
    only = trained().dashboard(["2.bias"])
    assert [len(lines(ax)) for ax in only.axes] == [1, 1, 1]
    assert "2.bias" in written(only.axes[0])
    assert len(lines(trained().dashboard("2.bias").axes[0])) == 1
    biases = monitor_of(np.ones((3, 6)), [f"{i}.bias" for i in range(6)]).dashboard()
    assert len(lines(biases.axes[0])) == 6, "there is nothing else"


def test_the_log_of_a_run_gives_the_same_picture(tmp_path):
    monitor = trained(high=0.2, window=2, log=tmp_path / "log")
    assert monitor.alarms
    assert drawn(monitor.dashboard()) == drawn(read_log(tmp_path / "log").dashboard())


def test_the_picture_is_the_same_each_time_whatever_the_settings():
    monitor = trained()
    first = drawn(monitor.dashboard())
    assert drawn(monitor.dashboard()) == first
    with mpl.rc_context({"axes.spines.top": True, "lines.marker": "x", "axes.grid": True}):
        figure = monitor.dashboard()
        assert mpl.rcParams["axes.grid"]
    assert drawn(figure) == first


@pytest.mark.parametrize("parameters", [12, 13, 60])
def test_many_parameters_are_rows_of_a_heat_map(parameters):
    rng = np.random.default_rng(0)
    norms = 10 ** rng.uniform(-6, 2, (30, parameters))
    figure = monitor_of(norms, optimizer=True).dashboard()
    top, middle, bottom = figure.axes[:3]
    if parameters <= 12:
        assert len(lines(top)) == parameters
        return
    for ax, values in ((top, norms.T), (middle, norms.T * 0.01 / 2)):
        (mesh,) = ax.collections
        np.testing.assert_allclose(mesh.get_array(), values, rtol=1e-7)
        assert mesh.norm.vmin < values.min() * (1 + 1e-7)
        assert mesh.norm.vmax > values.max() * (1 - 1e-7)
    assert top.get_ylim() == (parameters - 0.5, -0.5), "the first one is at the top"
    names = [label.get_text() for label in top.get_yticklabels()]
    assert names == ["0.weight", f"{parameters - 1}.weight"]
    assert middle.collections[0].norm(GUIDE) == pytest.approx(0.5)
    assert bottom.collections[0].get_clim() == (0, 1)
    drawn(figure)


def test_long_heat_maps_take_records_together():
    norms = np.ones((10 * COLUMNS, 13))
    norms[35:40, 2] = 7.0  # five of ten: the median is between
    norms[41, 3] = np.inf
    norms[52, 4] = 1e9
    figure = monitor_of(norms, keep=9999).dashboard()
    (mesh,) = figure.axes[0].collections
    seen = mesh.get_array()
    assert seen.shape == (13, COLUMNS)
    assert (seen[2, 3], seen[4, 5]) == (4, 1)
    assert seen[3, 4] > mesh.norm.vmax
    assert note(figure.axes[0]) == "red: not finite"


def test_what_a_logarithm_has_no_place_for_is_at_the_edges():
    norms = np.full((20, 2), 0.5)
    norms[5:8, 0], norms[12, 1], norms[13, 1] = 0, np.inf, np.nan
    figure = monitor_of(norms).dashboard()
    ax = figure.axes[0]
    assert note(ax) == "▲ not finite   ▼ 0"
    zeros, infinite = (c.get_offsets() for c in ax.collections)
    assert zeros[:, 0].tolist() == [5, 6, 7]
    assert infinite[:, 0].tolist() == [12, 13]
    assert set(zeros[:, 1]) == {0.025}
    assert set(infinite[:, 1]) == {0.975}
    assert np.isnan(lines(ax)[0].get_ydata()[5:8]).all(), "a gap, no line across"
    zero_fraction = lines(figure.axes[2])[1].get_ydata()
    assert len(zero_fraction) == 18, "no share of zeros where there are no numbers"
    drawn(figure)


def test_a_missing_gradient_is_no_nan():
    w, v = Parameter(np.ones(2)), Parameter(np.ones(2))
    monitor = GradientMonitor(Named({"w": w, "v": v}))
    v.grad = None
    for value in (1.0, 2.0, np.nan, 3.0):
        w.grad[...] = value
        monitor.step()
    ax = monitor.dashboard().axes[0]
    (marks,) = ax.collections
    assert marks.get_offsets()[:, 0].tolist() == [2]
    assert len(lines(ax)[1].get_ydata()) == 0


@pytest.mark.parametrize(
    ("parameters", "value", "marked"),
    [
        *((2, 0.0, "▼ 0"), (2, np.nan, "▲ not finite"), (2, np.inf, "▲ not finite")),
        *((2, 1e-320, ""), (2, 1e300, ""), (1, 1.0, "")),
        *((20, 0.0, "black: 0"), (20, np.nan, "red: not finite"), (20, 1e300, "")),
    ],
)
def test_one_value_alone(parameters, value, marked):
    figure = monitor_of(np.full((1, parameters), value), optimizer=True).dashboard()
    assert note(figure.axes[0]) == marked


@pytest.mark.parametrize("parameters", [2, 20])
def test_values_from_end_to_end_of_what_a_float_holds(parameters):
    norms = np.full((5, parameters), 1e300)
    norms[::2, 0] = 1e-320
    monitor_of(norms, optimizer=True).dashboard()


def test_a_single_record_is_seen():
    figure = monitor_of([[1.0, 2.0]]).dashboard()
    assert [line.get_marker() for line in lines(figure.axes[0])] == ["o", "o"]
    figure.draw_without_rendering()
    left, right = figure.axes[2].get_xlim()
    assert [x for x in figure.axes[2].get_xticks() if left <= x <= right] == [0]
    assert {m.get_marker() for m in lines(monitor_of([[1.0]] * 3).dashboard().axes[0])} == {""}


def test_what_is_not_recorded_is_said():
    figure = monitor_of(np.ones((3, 2))).dashboard()
    assert written(figure.axes[1]) == ["not recorded without an optimiser"]
    sparse = monitor_of(np.ones((3, 2)), detail_every=50, keep=2).dashboard()
    assert written(sparse.axes[2]) == ["not recorded at these steps"]


@pytest.mark.parametrize("parameters", [2, 20])
def test_rare_details_are_joined(parameters):
    monitor = monitor_of(np.ones((21, parameters)), optimizer=True, detail_every=5)
    ax = monitor.dashboard().axes[1]
    if parameters == 2:
        assert lines(ax)[0].get_xdata().tolist() == [0, 5, 10, 15, 20]
        assert np.isfinite(lines(ax)[0].get_ydata()).all()
    else:
        assert ax.collections[0].get_array().shape == (20, 5)


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="the run must have at least one record, got none"):
        GradientMonitor(Linear(1, 1)).dashboard()
    with pytest.raises(ValueError, match="the run must have at least one record"):
        read_log(io.StringIO()).dashboard()
    monitor = monitor_of([[1.0]])
    with pytest.raises(ValueError, match=r"names must be of 0\.weight, got 'w'"):
        monitor.dashboard(["0.weight", "w"])
    with pytest.raises(ValueError, match=r"names must be of 0\.weight, got none"):
        dashboard(monitor, [])
    assert not plt.get_fignums(), "no empty figure is left behind"


def test_alarms_stand_at_their_steps():
    norms = np.ones((30, 3))
    norms[10, :2] = norms[22, 2] = 50
    figure = monitor_of(norms, high=5, window=2).dashboard()
    for ax in figure.axes:
        assert alarm_steps(ax) == [10, 22]
    told = "Alarms   step 10: high 0.weight and 1 more   step 22: high 2.weight"
    assert figure.get_suptitle() == told


def test_alarms_before_the_first_record_are_left_out_and_one_after_the_last_is_not():
    norms = np.ones((30, 1))
    norms[2] = norms[25] = 50
    monitor = monitor_of(norms, high=5, window=2, keep=10)
    assert len(monitor.alarms) == 2
    assert alarm_steps(monitor.dashboard().axes[0]) == [25]
    model = Linear(1, 1, rng=0)
    monitor = GradientMonitor(model, low=None, relative=None)
    model.weight.grad += 1
    model.bias.grad += 1
    monitor.step()
    model(np.array([[np.nan]]))
    ax = monitor.dashboard().axes[0]
    assert alarm_steps(ax) == [1]
    assert ax.get_xlim()[1] > 1


def test_many_alarms_and_long_names():
    names = [f"encoder.layers.{i}.self_attention.in_projection.weight" for i in range(4)]
    norms = np.where(np.arange(200)[:, None] % 4 == np.arange(4), 9, 1)
    figure = monitor_of(norms, names, high=5, window=1, keep=999).dashboard()
    assert len(alarm_steps(figure.axes[0])) == 200
    text = figure.get_suptitle()
    assert text.endswith("… 198 more")
    figure.draw_without_rendering()
    assert figure.axes[0].get_position().width > 0.6
    title = figure._suptitle.get_window_extent()
    assert figure.bbox.x0 <= title.x0 < title.x1 <= figure.bbox.x1


@pytest.mark.parametrize("values", [[1, 1, 1, 1], [0, 0, 0, 1], [1, 1e3, 0, np.nan], [np.inf] * 4])
def test_names_do_not_overlap_and_are_on_the_page(values):
    figure = monitor_of(np.array([values] * 4), optimizer=True).dashboard()
    figure.draw_without_rendering()
    for ax in figure.axes:
        boxes = [text.get_window_extent() for text in ax.texts]
        for one, other in itertools.combinations(boxes, 2):
            assert not one.overlaps(other)
        for box in boxes:
            assert figure.bbox.contains(*box.min)
            assert figure.bbox.contains(*box.max)
            assert (box.y0 + box.y1) / 2 <= ax.get_window_extent().y1 + 1, "above its panel"


def test_it_is_quick_and_quiet():
    norms = 10 ** np.random.default_rng(0).uniform(-6, 2, (1000, 60))
    monitor = monitor_of(norms, optimizer=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn(monitor.dashboard())
