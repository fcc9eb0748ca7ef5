//! Plots as SVG: bars or lines over the steps of time, with the figures of each step where it is pointed at or, by a script, gone to with the
//! arrow keys. The server writes UTC; the script puts the reader's zone in its place.

use chrono::SecondsFormat;
use maud::{Markup, html};

use super::model::Step;
use super::scale::{number, round_top, short};

const WIDTH: f64 = 960.0;
const LEFT: f64 = 110.0;
/// Room at the right for the labels of lines.
const RIGHT: f64 = 120.0;
const TOP: f64 = 14.0;
const BASE: f64 = 150.0;
const HEIGHT: f64 = 174.0;
/// How far labels of lines are apart at least.
const LABEL: f64 = 24.0;
/// How many instants stand below.
const INSTANTS: usize = 4;

/// A kind of figure: how it is drawn is said by its class, which differs by shape or dashes too.
pub(super) struct Series {
    pub(super) label: &'static str,
    pub(super) class: &'static str,
    /// A figure a step; nothing where there is none.
    pub(super) values: Vec<Option<f64>>,
}

/// What is drawn.
pub(super) struct Plot<'a> {
    pub(super) title: &'a str,
    pub(super) steps: &'a [Step],
    pub(super) series: &'a [Series],
    /// Bars, one on the other; otherwise lines.
    pub(super) stacked: bool,
    /// The top of the axis where it is given by what is drawn, such as 100 %.
    pub(super) top: Option<f64>,
    pub(super) unit: &'a str,
}

impl Plot<'_> {
    /// The picture. What it says stands in a table beside it, so it is one image to screen readers; the script lays a slider over it, which
    /// goes from step to step and says the figures of each.
    pub(super) fn shown(&self) -> Markup {
        let (top, parts) = self.top.map_or_else(|| round_top(self.most()), |top| (top, 2));
        let wide = (WIDTH - LEFT - RIGHT) / self.steps.len().max(1) as f64;
        html! {
            div.plotbox { svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label={ (self.title) "; the figures are in the table below" } {
                @for part in 0..=parts {
                    @let value = top * f64::from(part) / f64::from(parts);
                    @let y = place(value, top);
                    line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(at(y)) y2=(at(y)) {}
                    text.axis.between[part > 0 && part < parts] x=(LEFT - 8.0) y=(at(y + 4.0)) text-anchor="end" { (short(value)) }
                }
                @for index in self.instants() {
                    text.axis x=(at(LEFT + wide * index as f64)) y=(HEIGHT - 6.0) data-at=(self.instant(index)) { (self.steps[index].at.format("%H:%M")) }
                }
                text.axis.zone x=(WIDTH - RIGHT) y=(HEIGHT - 6.0) text-anchor="end" { "UTC" }
                @if self.stacked { (self.bars(top, wide)) } @else { (self.lines(top, wide)) }
                @for (index, step) in self.steps.iter().enumerate() {
                    rect.hover x=(at(LEFT + wide * index as f64)) y=(TOP) width=(at(wide)) height=(BASE - TOP) data-at=(self.instant(index)) {
                        title { (step.at.format("%Y-%m-%d %H:%M UTC")) (self.figures(index)) }
                    }
                }
            } }
        }
    }

    fn instant(&self, index: usize) -> String {
        self.steps[index].at.to_rfc3339_opts(SecondsFormat::Secs, true)
    }

    fn most(&self) -> f64 {
        let of_step = |index: usize| {
            let values = self.series.iter().filter_map(|series| series.values.get(index).copied().flatten());
            if self.stacked { values.sum() } else { values.fold(0.0, f64::max) }
        };
        (0..self.steps.len()).map(of_step).fold(0.0, f64::max)
    }

    fn instants(&self) -> impl Iterator<Item = usize> {
        let apart = self.steps.len().div_ceil(INSTANTS).max(1);
        (0..self.steps.len()).step_by(apart)
    }

    fn figures(&self, index: usize) -> String {
        let of = |series: &Series| {
            let value = series.values.get(index).copied().flatten();
            format!("\n{}: {}", series.label, value.map_or("none".to_owned(), |value| format!("{}{}", number(value), self.unit)))
        };
        self.series.iter().map(of).collect()
    }

    /// One shape for all bars of a series: an hour of minutes has some hundred.
    fn bars(&self, top: f64, wide: f64) -> Markup {
        let mut shapes = vec![String::new(); self.series.len()];
        for index in 0..self.steps.len() {
            let (left, width) = (at(LEFT + wide * (index as f64 + 0.14)), at(wide * 0.72));
            for (series, below, value) in self.below(index) {
                let (low, high) = (place(below, top), place(below + value, top));
                let (high, height) = (at(high), at((low - high).max(1.0)));
                shapes[series].push_str(&format!("M{left} {high}h{width}v{height}h-{width}z"));
            }
        }
        html! {
            @for (series, shape) in self.series.iter().zip(&shapes) {
                @if !shape.is_empty() { path class={ "mark " (series.class) } d=(shape) {} }
            }
        }
    }

    /// The bars of a step: of which series, what is below it, how much it is.
    fn below(&self, index: usize) -> Vec<(usize, f64, f64)> {
        let mut below = 0.0;
        let mut bars = Vec::new();
        for (series, of) in self.series.iter().enumerate() {
            let value = of.values.get(index).copied().flatten().unwrap_or_default();
            if value > 0.0 {
                bars.push((series, below, value));
                below += value;
            }
        }
        bars
    }

    /// Where each line ends, with its label.
    fn labels(&self, top: f64, x: impl Fn(usize) -> f64) -> Vec<(f64, f64, &str)> {
        let last = |series: &'_ Series| {
            let (index, value) =
                series.values.iter().enumerate().filter_map(|(index, value)| Some((index, (*value)?))).next_back()?;
            Some((x(index), place(value, top), series.label))
        };
        apart(self.series.iter().filter_map(last).collect())
    }

    fn lines(&self, top: f64, wide: f64) -> Markup {
        let x = |index: usize| LEFT + wide * (index as f64 + 0.5);
        html! {
            @for series in self.series {
                @let points: Vec<_> = series.values.iter().enumerate().filter_map(|(index, value)| value.map(|value| (index, value))).collect();
                // A step without figures breaks the line.
                @for run in points.chunk_by(|(one, _), (next, _)| one + 1 == *next) {
                    polyline class={ "mark line " (series.class) } points=(run.iter().map(|(index, value)| format!("{:.1},{:.1}", x(*index), place(*value, top))).collect::<Vec<_>>().join(" ")) {}
                    @if let [(index, value)] = run { circle class={ "mark point " (series.class) } cx=(at(x(*index))) cy=(at(place(*value, top))) r="2.5" {} }
                }
            }
            @for (x, y, label) in self.labels(top, x) { text.direct x=(at(x + 8.0)) y=(at(y + 4.0)) { (label) } }
        }
    }
}

/// Labels of lines from the top down, none on another: what would be too near goes down, and up again where it would leave the plot.
fn apart(mut labels: Vec<(f64, f64, &str)>) -> Vec<(f64, f64, &str)> {
    labels.sort_by(|one, other| one.1.total_cmp(&other.1));
    let mut low = f64::MIN;
    for (_, y, _) in &mut labels {
        *y = y.max(low + LABEL);
        low = *y;
    }
    let mut high = BASE;
    for (_, y, _) in labels.iter_mut().rev() {
        *y = y.min(high);
        high = *y - LABEL;
    }
    labels
}

fn place(value: f64, top: f64) -> f64 {
    BASE - (BASE - TOP) * (value / top).clamp(0.0, 1.0)
}

fn at(place: f64) -> String {
    format!("{place:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_lies_on_another() {
        assert_eq!(apart(vec![(1.0, 100.0, "p50"), (1.0, 20.0, "p99")]), [(1.0, 20.0, "p99"), (1.0, 100.0, "p50")]);
        assert_eq!(apart(vec![(1.0, 100.0, "p50"), (2.0, 99.0, "p99")]), [(2.0, 99.0, "p99"), (1.0, 123.0, "p50")]);
        assert_eq!(apart(vec![(1.0, 140.0, "p50"), (1.0, 139.0, "p99")]), [(1.0, 126.0, "p99"), (1.0, 150.0, "p50")]);
        assert_eq!(apart(Vec::new()), []);
    }
}
