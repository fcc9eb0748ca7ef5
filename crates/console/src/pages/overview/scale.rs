//! From figures to places: round numbers on an axis.

/// The smallest round number at or above `most`, and how many equal parts it is divided into.
pub(super) fn round_top(most: f64) -> (f64, u32) {
    if !most.is_finite() || most <= 1.0 {
        return (1.0, 1);
    }
    let size = 10f64.powf(most.log10().floor());
    for (factor, parts) in [(1.0, 2), (2.0, 2), (3.0, 3), (4.0, 2), (5.0, 5), (6.0, 3), (8.0, 4), (10.0, 2)] {
        if factor * size >= most {
            return (factor * size, parts);
        }
    }
    (10.0 * size, 2)
}

/// A number with separators of thousands: `48,211`; small ones with a digit behind the point where they have one.
pub(super) fn number(value: f64) -> String {
    if value.fract() > 0.05 && value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A round number in little room: `9,000`, `80k`, `1.5M`.
pub(super) fn short(value: f64) -> String {
    match value {
        1e6.. => format!("{}M", number(value / 1e6)),
        1e4.. => format!("{}k", number(value / 1e3)),
        _ => number(value),
    }
}

/// A whole number with separators of thousands.
pub(super) fn whole(value: u64) -> String {
    number(value as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        for (most, top) in [(0.0, 1.0), (1.0, 1.0), (7.0, 8.0), (10.0, 10.0), (11.0, 20.0), (2050.0, 3000.0), (9100.0, 10_000.0)]
        {
            assert!((round_top(most).0 - top).abs() < 1e-6, "{most}");
        }
        assert_eq!(["0", "2.1", "999", "48,211"], [0.0, 2.1, 999.0, 48_211.0].map(number));
        assert_eq!(["0.5", "9,000", "80k", "1.5M", "2M"], [0.5, 9e3, 8e4, 1.5e6, 2e6].map(short));
    }
}
