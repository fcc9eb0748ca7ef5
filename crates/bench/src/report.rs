//! Figures and their table.

use std::fmt::Write;

use serde::Serialize;

/// One measurement.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Figure {
    /// Different deliveries that arrived.
    pub deliveries: usize,
    /// From the first publication to the last arrival.
    pub seconds: f64,
    pub per_second: f64,
    /// Arrivals beyond the first of a delivery.
    pub duplicates: usize,
}

/// All measurements, by what was measured, in the order of their first appearance.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<(String, Vec<Figure>)>);

/// What is known of one set-up.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    pub name: String,
    pub median_per_second: f64,
    /// In relation to the relay of the same run.
    pub ratio: f64,
    pub rounds: Vec<Figure>,
}

impl Report {
    pub(crate) fn add(&mut self, name: &str, figure: Figure) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, figures)) => figures.push(figure),
            None => self.0.push((name.to_owned(), vec![figure])),
        }
    }

    pub(crate) fn figures(&self) -> Vec<Line> {
        let relay = self.0.first().map_or(f64::NAN, |(_, figures)| median(figures));
        let line = |(name, figures): &(String, Vec<Figure>)| {
            let median = median(figures);
            Line { name: name.clone(), median_per_second: median, ratio: median / relay, rounds: figures.clone() }
        };
        self.0.iter().map(line).collect()
    }

    /// The table that a person reads.
    pub(crate) fn table(&self) -> String {
        let mut table = format!("{:<34} {:>14} {:>9} {:>11}\n", "set-up", "deliveries/s", "x relay", "duplicates");
        for line in self.figures() {
            let duplicates: usize = line.rounds.iter().map(|figure| figure.duplicates).sum();
            let _ = writeln!(table, "{:<34} {:>14.0} {:>9.2} {duplicates:>11}", line.name, line.median_per_second, line.ratio);
        }
        table
    }
}

fn median(figures: &[Figure]) -> f64 {
    let mut rates: Vec<_> = figures.iter().map(|figure| figure.per_second).collect();
    rates.sort_unstable_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_medians_in_relation_to_the_relay() {
        let mut report = Report::default();
        for (name, rates) in [("relay", [100.0, 400.0, 200.0]), ("baton", [50.0, 100.0, 300.0])] {
            for per_second in rates {
                report.add(name, Figure { deliveries: 1, seconds: 1.0, per_second, duplicates: 1 });
            }
        }
        let lines = report.figures();
        assert_eq!((lines[0].median_per_second, lines[1].median_per_second, lines[1].ratio), (200.0, 100.0, 0.5));
        assert!(report.table().lines().nth(2).is_some_and(|line| line.ends_with("0.50           3")), "{}", report.table());
    }
}
