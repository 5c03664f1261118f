//! Numbers, and tables of them, for people.

use comfy_table::{CellAlignment, Table, presets};
use hdrhistogram::Histogram;

/// Significant digits of durations; with two, a histogram takes at most about 60 KB.
const DIGITS: u8 = 2;

/// Durations in microseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Durations(Option<Histogram<u64>>);

impl Durations {
    pub(super) fn record(&mut self, micros: u64) {
        if self.0.is_none() {
            // The digits are a constant that the library accepts.
            self.0 = Histogram::new(DIGITS).ok();
        }
        if let Some(histogram) = &mut self.0 {
            // It resizes itself, so that recording does not fail.
            let _ = histogram.record(micros.max(1));
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            // Both resize themselves, so adding does not fail.
            (Some(own), Some(other)) => drop(own.add(other)),
            (None, Some(other)) => self.0 = Some(other.clone()),
            (_, None) => {}
        }
    }

    /// `-` if there are none.
    pub(super) fn quantile(&self, quantile: f64) -> String {
        self.0.as_ref().map_or_else(|| "-".to_owned(), |histogram| micros(histogram.value_at_quantile(quantile)))
    }
}

/// A sum of which some parts may not be known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    known: u64,
    any: bool,
    unknown: bool,
}

impl Sum {
    pub(super) fn add(&mut self, part: Option<u64>) {
        match part {
            Some(part) => {
                self.known = self.known.saturating_add(part);
                self.any = true;
            }
            None => self.unknown = true,
        }
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.known = self.known.saturating_add(other.known);
        self.any |= other.any;
        self.unknown |= other.unknown;
    }

    pub(super) const fn is_any(self) -> bool {
        self.any
    }

    /// `-` if nothing is known, `>=` before what is a part.
    pub(super) fn text(self, text: fn(u64) -> String) -> String {
        match self {
            Self { any: false, .. } => "-".to_owned(),
            Self { unknown: true, known, .. } => format!(">={}", text(known)),
            Self { known, .. } => text(known),
        }
    }
}

/// A table; the columns behind the second are numbers. With `pretty` it has lines drawn around it, for a terminal.
pub(super) fn table(pretty: bool, header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(if pretty { presets::UTF8_FULL_CONDENSED } else { presets::NOTHING });
    table.set_header(header);
    table.add_rows(rows);
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// What traffic names, without what a terminal would obey.
pub(super) fn plain(name: &str) -> String {
    name.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

/// A duration with about three digits.
pub(super) fn micros(micros: u64) -> String {
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{:.1} ms", micros as f64 / 1e3),
        _ => format!("{:.2} s", micros as f64 / 1e6),
    }
}

/// A size with decimal prefixes.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// Billionths of a dollar, with four digits behind the point or what there is of less.
pub(super) fn dollars(billionths: u64) -> String {
    let dollars = billionths as f64 / 1e9;
    if billionths > 0 && dollars < 0.0001 { "<$0.0001".to_owned() } else { format!("${dollars:.4}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_a_dash_and_a_part_is_a_lower_bound() {
        let mut sum = Sum::default();
        sum.add(None);
        assert_eq!(sum.text(bytes), "-");
        sum.add(Some(1500));
        assert_eq!(sum.text(bytes), ">=1.5 kB");
        assert_eq!(Durations::default().quantile(0.5), "-");
    }

    #[test]
    fn dollars_have_cents_of_cents() {
        assert_eq!([0, 50_000, 140_000, 1_234_567_890].map(dollars), ["$0.0000", "<$0.0001", "$0.0001", "$1.2346"]);
    }

    #[test]
    fn names_cannot_move_the_cursor() {
        assert_eq!(plain("gpt\u{1b}[2J\n"), "gpt\u{fffd}[2J\u{fffd}");
    }
}
