//! Adds results up into execo's tables: narrow for a terminal of 80 columns, wide, and brief.
//!
//! A report is a snapshot: it holds the figures as they were when they were added.

use std::fmt::Write as _;
use std::time::SystemTime;

use phalanx_process::duration::{self, Fraction};
use phalanx_process::stats::Stats;

use crate::date::{self, Zone};

/// The ten counts of the tables, in the order of [`COUNTS`].
fn counts(stats: &Stats) -> [usize; 10] {
    [
        stats.started,
        stats.ended,
        stats.errors,
        stats.timeouts,
        stats.forced_kills,
        stats.expect_failed,
        stats.write_errors,
        stats.non_zero_exit_codes,
        stats.ok,
        stats.processes,
    ]
}

/// The headings of the counts; the last stands at the end of the first line of the narrow table.
const COUNTS: [&str; 10] =
    ["startd", "ended", "error", "timout", "fkilld", "expfld", "wrterr", "ret!=0", "ok", "total"];

/// How wide a line of the narrow layout is.
const NARROW: usize = 79;
/// How wide a line of the wide layout is.
const WIDE: usize = 157;

/// How a report is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// Two lines of 79 columns for each entry.
    #[default]
    Narrow,
    /// One line of 157 columns for each entry.
    Wide,
}

impl Layout {
    /// Returns the widest layout that fits into so many columns; the narrow one if none does.
    #[must_use]
    pub fn for_columns(columns: usize) -> Self {
        if columns >= WIDE { Self::Wide } else { Self::Narrow }
    }
}

/// Figures of many things, and their total.
#[derive(Debug, Clone)]
pub struct Report {
    name: String,
    parts: Vec<Stats>,
}

impl Default for Report {
    fn default() -> Self {
        Self::new("Report")
    }
}

impl Report {
    /// An empty report.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), parts: Vec::new() }
    }

    /// Adds figures.
    pub fn add(&mut self, stats: Stats) {
        self.parts.push(stats);
    }

    /// Everything added up.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::sum(&self.name, self.parts.clone())
    }

    /// The table, with dates in `zone`. `brief` leaves only the heading and the total.
    #[must_use]
    pub fn to_text(&self, layout: Layout, brief: bool, zone: &Zone) -> String {
        let total = self.stats();
        let mut text = String::new();
        let cells = |stats: &Stats, indent: usize| Cells::of(stats, indent, zone);
        Cells::heading().write(layout, &mut text);
        rule(layout, &mut text);
        if !brief {
            for part in sorted(&total.parts) {
                write_tree(part, 0, &mut |stats, indent| cells(stats, indent).write(layout, &mut text));
            }
            rule(layout, &mut text);
        }
        cells(&total, 0).write(layout, &mut text);
        text
    }
}

/// By start, the never started last; nested entries keep their order.
fn sorted(parts: &[Stats]) -> Vec<&Stats> {
    let mut parts: Vec<_> = parts.iter().collect();
    parts.sort_by_key(|part| (part.start_date.is_none(), part.start_date));
    parts
}

fn write_tree(stats: &Stats, indent: usize, write: &mut impl FnMut(&Stats, usize)) {
    write(stats, indent);
    for part in &stats.parts {
        write_tree(part, indent + 2, write);
    }
}

fn rule(layout: Layout, text: &mut String) {
    let width = match layout {
        Layout::Narrow => NARROW,
        Layout::Wide => WIDE,
    };
    text.push_str(&"-".repeat(width));
    text.push('\n');
}

/// One entry of the table, as text.
struct Cells {
    name: String,
    start: String,
    end: String,
    length: String,
    counts: [String; 10],
}

impl Cells {
    fn heading() -> Self {
        Self {
            name: "Name".to_owned(),
            start: "start".to_owned(),
            end: "end".to_owned(),
            length: "length".to_owned(),
            counts: COUNTS.map(str::to_owned),
        }
    }

    fn of(stats: &Stats, indent: usize, zone: &Zone) -> Self {
        let show = |date: Option<SystemTime>| match date {
            Some(date) => date::format(date, Fraction::None, zone),
            None => "None".to_owned(),
        };
        Self {
            name: format!("{:indent$}{}", "", stats.name),
            start: show(stats.start_date),
            end: show(stats.end_date),
            length: stats.length().map(|length| duration::format(length, Fraction::None)).unwrap_or_default(),
            counts: counts(stats).map(|count| count.to_string()),
        }
    }

    fn write(&self, layout: Layout, text: &mut String) {
        let dates = format!("{} {} {}", cell(&self.name, 31), cell(&self.start, 19), cell(&self.end, 19));
        let counts: Vec<_> = self.counts.iter().map(|count| cell(count, 7)).collect();
        let length = cell(&self.length, 15);
        let written = match layout {
            Layout::Narrow => writeln!(text, "{dates} {}\n {length}{}", counts[9], counts[..9].concat()),
            Layout::Wide => writeln!(text, "{dates} {length}{}", counts.concat()),
        };
        written.expect("writing into a String cannot fail");
    }
}

/// Exactly `width` characters: cut, or filled with blanks. A line break in a name would tear the table.
fn cell(text: &str, width: usize) -> String {
    let flat = text.chars().map(|char| if char.is_control() { ' ' } else { char });
    let cut: String = flat.take(width).collect();
    format!("{cut:width$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn at(seconds: u64) -> Option<SystemTime> {
        Some(UNIX_EPOCH + Duration::from_secs(1_795_242_091 + seconds))
    }

    fn entry(name: &str, start: u64, end: Option<u64>, processes: usize, ok: usize) -> Stats {
        Stats {
            name: name.to_owned(),
            start_date: at(start),
            end_date: end.and_then(at),
            processes,
            started: processes,
            ended: ok,
            ok,
            non_zero_exit_codes: processes - ok,
            ..Stats::default()
        }
    }

    fn report() -> Report {
        let mut report = Report::default();
        let nested = Stats {
            parts: vec![entry("inner with a name that is far too long", 1, Some(2), 2, 2)],
            ..entry("outer", 1, Some(3), 3, 2)
        };
        report.add(nested);
        report.add(entry("first", 0, Some(1), 6, 4));
        report.add(Stats { processes: 1, name: "never".to_owned(), ok: 1, ..Stats::default() });
        report
    }

    /// Items 153 to 158, G7: the layout of execo, see reference/execo.md 1.12.
    #[test]
    fn the_narrow_table_is_execos() {
        let expected = "\
Name                            start               end                 total  
 length         startd ended  error  timout fkilld expfld wrterr ret!=0 ok     
-------------------------------------------------------------------------------
first                           2026-11-21 06:21:31 2026-11-21 06:21:32 6      
 1s             6      4      0      0      0      0      0      2      4      
outer                           2026-11-21 06:21:32 2026-11-21 06:21:34 3      
 2s             3      2      0      0      0      0      0      1      2      
  inner with a name that is far 2026-11-21 06:21:32 2026-11-21 06:21:33 2      
 1s             2      2      0      0      0      0      0      0      2      
never                           None                None                1      
                0      0      0      0      0      0      0      0      1      
-------------------------------------------------------------------------------
Report                          2026-11-21 06:21:31 None                10     
                9      6      0      0      0      0      0      3      7      
";
        let text = report().to_text(Layout::Narrow, false, &Zone::utc());
        assert_eq!(text, expected, "\n{text}");
        assert!(text.lines().all(|line| line.len() == 79));
    }

    #[test]
    fn the_wide_table_has_one_line_of_157_columns_for_each_entry() {
        let text = report().to_text(Layout::Wide, false, &Zone::utc());
        assert_eq!(text.lines().count(), 8);
        for line in text.lines() {
            assert_eq!(line.len(), 157, "{line}");
        }
        assert!(text.contains("2026-11-21 06:21:32 1s             6      4      0      0"));
    }

    #[test]
    fn the_brief_table_has_only_heading_and_total() {
        let text = report().to_text(Layout::Narrow, true, &Zone::utc());
        assert_eq!(text.lines().count(), 5);
        assert!(!text.contains("outer") && text.contains("Report"));
    }
}
