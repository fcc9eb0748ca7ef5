//! The plots of the page, each with its table.

use maud::{Markup, html};

use super::model::{Quantiles, Step};
use super::plot::{Plot, Series};
use super::scale::number;
use crate::components::time;

/// All of them; `minutes` is how long a step is.
pub(super) fn all(steps: &[Step], minutes: u32) -> Markup {
    let rate = |of: fn(&Step) -> u64| steps.iter().map(|step| Some(of(step) as f64 / f64::from(minutes))).collect::<Vec<_>>();
    let ms =
        |of: fn(&Step) -> Option<Quantiles>, pick: fn(Quantiles) -> f64| steps.iter().map(|step| of(step).map(pick)).collect();
    let share = steps.iter().map(|step| step.figures.success_share.map(|share| share * 100.0)).collect();
    let latency = |title: &str, of: fn(&Step) -> Option<Quantiles>| {
        let series = [
            Series { label: "p50", class: "solid", values: ms(of, |q| q.p50) },
            Series { label: "p99", class: "dashed", values: ms(of, |q| q.p99) },
        ];
        panel(&Plot { title, steps, series: &series, stacked: false, top: None, unit: " ms" })
    };
    html! {
        div.plots {
            (panel(&Plot { title: "Executions per minute", steps, stacked: true, top: None, unit: "", series: &[
                Series { label: "success", class: "ok", values: rate(|step| step.figures.success) },
                Series { label: "fail", class: "no", values: rate(|step| step.figures.fail) },
                Series { label: "skipped", class: "passed", values: rate(|step| step.figures.skipped) },
            ] }))
            (panel(&Plot { title: "Events per minute", steps, stacked: true, top: None, unit: "", series: &[
                Series { label: "published", class: "ok", values: rate(|step| step.published.unwrap_or_default()) },
            ] }))
            (panel(&Plot { title: "Success share", steps, stacked: false, top: Some(100.0), unit: " %", series: &[
                Series { label: "success", class: "solid", values: share },
            ] }))
            (latency("Publish to first call", |step| step.figures.first_call_ms))
            (latency("Duration of calls", |step| step.figures.duration_ms))
        }
    }
}

fn panel(plot: &Plot<'_>) -> Markup {
    html! {
        section.panel.plotted aria-label=(plot.title) {
            div.cap { h2 { (plot.title) @if !plot.unit.is_empty() { "," (plot.unit) } } @if plot.series.len() > 1 { span.legend { @for series in plot.series { span { i class={ "key " (series.class) } aria-hidden="true" {} (series.label) } } } } }
            (plot.shown())
            details.figures { summary { "Figures as a table" } (table(plot)) }
        }
    }
}

/// The figures, the newest first; steps in which nothing happened are left out.
fn table(plot: &Plot<'_>) -> Markup {
    let of = |series: &Series, index: usize| series.values.get(index).copied().flatten();
    let happened =
        |index: &usize| plot.series.iter().any(|series| of(series, *index).is_some_and(|value| value > 0.0 || !plot.stacked));
    let shown: Vec<_> = (0..plot.steps.len()).rev().filter(happened).collect();
    html! {
        @if shown.is_empty() { p.muted { "Nothing happened." } } @else {
            div.across tabindex="0" {
                table.sheet {
                    caption.unseen { (plot.title) }
                    thead { tr { th scope="col" { "From" } @for series in plot.series { th.num scope="col" { (series.label) } } } }
                    tbody {
                        @for index in shown {
                            tr {
                                td.date { (time::plain(plot.steps[index].at)) }
                                @for series in plot.series { td.num { @if let Some(value) = of(series, index) { (number(value)) (plot.unit) } } }
                            }
                        }
                    }
                }
            }
        }
    }
}
