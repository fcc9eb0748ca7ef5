//! What was measured: figures by variant, round by round, and what is made of them.

use serde::Serialize;

use crate::statistics::{median, ratios};

/// What a number says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Figure {
    pub name: &'static str,
    pub unit: &'static str,
}

/// Deliveries that arrived, by the time from the first publication to the last arrival.
pub(crate) const DELIVERIES: Figure = Figure { name: "deliveries", unit: "/s" };

/// What is to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Goal {
    of: Of,
    better: Better,
    pub target: f64,
    pub stretch: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Of {
    Ratio,
    Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Better {
    More,
    Less,
}

/// How a figure stands to its goal. A bench tells; it does not fail because of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    StretchMet,
    Met,
    Missed,
}

impl Goal {
    /// The ratio to the reference is to be so high.
    pub(crate) fn ratio_from(target: f64, stretch: f64) -> Self {
        Self { of: Of::Ratio, better: Better::More, target, stretch }
    }

    /// The ratio to the reference may be so high.
    pub(crate) fn ratio_to(target: f64, stretch: f64) -> Self {
        Self { of: Of::Ratio, better: Better::Less, target, stretch }
    }

    /// The figure itself is to be so high.
    pub(crate) fn from(target: f64, stretch: f64) -> Self {
        Self { of: Of::Value, better: Better::More, target, stretch }
    }

    /// The figure itself may be so high.
    pub(crate) fn to(target: f64, stretch: f64) -> Self {
        Self { of: Of::Value, better: Better::Less, target, stretch }
    }

    /// `0.45 x` for a ratio; the figure's unit stands in a column of its own.
    pub(crate) fn text(&self, limit: f64) -> String {
        match self.of {
            Of::Ratio => format!("{limit} x"),
            Of::Value => format!("{limit}"),
        }
    }

    fn judge(&self, value: f64, ratio: Option<f64>) -> Verdict {
        let measured = match self.of {
            Of::Ratio => ratio.unwrap_or(f64::NAN),
            Of::Value => value,
        };
        let reaches = |limit: f64| match self.better {
            Better::More => measured >= limit,
            Better::Less => measured <= limit,
        };
        match (reaches(self.stretch), reaches(self.target)) {
            (true, _) => Verdict::StretchMet,
            (false, true) => Verdict::Met,
            (false, false) => Verdict::Missed,
        }
    }
}

impl Verdict {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::StretchMet => "met, stretch too",
            Self::Met => "met",
            Self::Missed => "missed",
        }
    }
}

/// One figure of one variant.
#[derive(Debug)]
struct Series {
    variant: String,
    figure: Figure,
    rounds: Vec<f64>,
    reference: Option<String>,
    goal: Option<Goal>,
}

/// All figures of a scenario, in the order of their first appearance.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<Series>);

/// One line of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub scenario: &'static str,
    pub variant: String,
    pub figure: Figure,
    /// The median of the rounds.
    pub value: f64,
    pub rounds: Vec<f64>,
    /// The variant that the ratio is to.
    pub reference: Option<String>,
    /// The median of the ratios within each round.
    pub ratio: Option<f64>,
    pub goal: Option<Goal>,
    pub verdict: Option<Verdict>,
}

impl Figures {
    /// Another round's value.
    pub(crate) fn add(&mut self, variant: &str, figure: Figure, value: f64) {
        eprintln!("    {variant}: {} {} {}", figure.name, crate::report::number(value), figure.unit);
        match self.find(variant, figure) {
            Some(series) => series.rounds.push(value),
            None => {
                let variant = variant.to_owned();
                self.0.push(Series { variant, figure, rounds: vec![value], reference: None, goal: None });
            }
        }
    }

    /// Puts this figure of every other variant in relation to that of `reference`.
    pub(crate) fn compare(&mut self, figure: Figure, reference: &str) {
        for series in self.0.iter_mut().filter(|series| series.figure == figure && series.variant != reference) {
            series.reference = Some(reference.to_owned());
        }
    }

    /// What this figure of this variant is to reach.
    pub(crate) fn goal(&mut self, variant: &str, figure: Figure, goal: Goal) {
        if let Some(series) = self.find(variant, figure) {
            series.goal = Some(goal);
        }
    }

    /// What all of it comes to.
    pub(crate) fn rows(&self, scenario: &'static str) -> Vec<Row> {
        self.0.iter().map(|series| self.row(scenario, series)).collect()
    }

    fn row(&self, scenario: &'static str, series: &Series) -> Row {
        let reference = series.reference.as_deref().and_then(|name| self.get(name, series.figure));
        let ratio = reference.map(|reference| median(&ratios(&series.rounds, &reference.rounds)));
        let value = median(&series.rounds);
        Row {
            scenario,
            variant: series.variant.clone(),
            figure: series.figure,
            value,
            rounds: series.rounds.clone(),
            reference: reference.map(|reference| reference.variant.clone()),
            ratio,
            goal: series.goal,
            verdict: series.goal.map(|goal| goal.judge(value, ratio)),
        }
    }

    fn get(&self, variant: &str, figure: Figure) -> Option<&Series> {
        self.0.iter().find(|series| series.variant == variant && series.figure == figure)
    }

    fn find(&mut self, variant: &str, figure: Figure) -> Option<&mut Series> {
        self.0.iter_mut().find(|series| series.variant == variant && series.figure == figure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured() -> Figures {
        let mut figures = Figures::default();
        for (relay, baton) in [(100.0, 50.0), (400.0, 100.0), (200.0, 120.0)] {
            figures.add("relay", DELIVERIES, relay);
            figures.add("baton", DELIVERIES, baton);
        }
        figures.compare(DELIVERIES, "relay");
        figures
    }

    #[test]
    fn a_row_has_the_median_and_the_median_of_the_ratios() {
        let rows = measured().rows("single");
        assert_eq!(rows.iter().map(|row| (row.value, row.ratio)).collect::<Vec<_>>(), [(200.0, None), (100.0, Some(0.5))]);
        assert_eq!(rows[1].reference.as_deref(), Some("relay"));
        assert_eq!(rows[1].rounds, [50.0, 100.0, 120.0]);
    }

    #[test]
    fn another_figure_of_the_reference_is_no_reference() {
        let mut figures = measured();
        let memory = Figure { name: "memory", unit: "MB" };
        figures.add("baton", memory, 20.0);
        figures.compare(memory, "relay");
        assert_eq!(figures.rows("single")[2].ratio, None);
    }

    #[test]
    fn verdicts_know_which_way_is_better() {
        let verdict = |goal: Goal, value, ratio| goal.judge(value, ratio);
        assert_eq!(verdict(Goal::ratio_from(0.45, 0.6), 1.0, Some(0.6)), Verdict::StretchMet);
        assert_eq!(verdict(Goal::ratio_from(0.45, 0.6), 1.0, Some(0.45)), Verdict::Met);
        assert_eq!(verdict(Goal::ratio_from(0.45, 0.6), 1.0, Some(0.44)), Verdict::Missed);
        assert_eq!(verdict(Goal::ratio_to(3.0, 2.0), 1.0, Some(2.5)), Verdict::Met);
        assert_eq!(verdict(Goal::to(200.0, 100.0), 201.0, None), Verdict::Missed);
        assert_eq!(verdict(Goal::to(200.0, 100.0), 99.0, Some(7.0)), Verdict::StretchMet);
        assert_eq!(verdict(Goal::from(10.0, 20.0), 10.0, None), Verdict::Met);
        assert_eq!(verdict(Goal::ratio_from(0.45, 0.6), 1.0, None), Verdict::Missed, "what was not measured is not met");
    }

    #[test]
    fn goals_belong_to_one_figure_of_one_variant() {
        let mut figures = measured();
        figures.goal("baton", DELIVERIES, Goal::ratio_from(0.45, 0.6));
        let rows = figures.rows("single");
        assert_eq!(rows.iter().map(|row| row.verdict).collect::<Vec<_>>(), [None, Some(Verdict::Met)]);
    }
}
