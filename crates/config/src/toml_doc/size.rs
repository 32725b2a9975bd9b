//! Sizes in bytes as people write them. Pure.
//!
//! | written | means |
//! |---|---|
//! | `4096` | bytes |
//! | `64K`, `10M`, `2G`, `1T`, `64KiB` … | times 1024, as often as the letter says |
//! | `64kB`, `10MB`, `2GB`, `1TB` | times 1000 |
//!
//! A blank may stand between the number and the unit.

/// What to write where a size is asked for.
pub(super) const EXPECTED: &str = "write bytes (4096), or a text with a unit (\"64K\", \"10MiB\", \"2GB\")";

/// Parses a size.
pub(super) fn parse(text: &str) -> Option<u64> {
    let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.strip_prefix(' ').unwrap_or(unit) {
        "" | "B" => 1,
        "K" | "k" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        "T" | "TiB" => 1 << 40,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed() {
        for (text, expected) in [
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("64K", Some(65_536)),
            ("10 MiB", Some(10 << 20)),
            ("2GB", Some(2_000_000_000)),
            ("1T", Some(1 << 40)),
            ("", None),
            ("K", None),
            ("-1", None),
            ("1.5K", None),
            ("1Q", None),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("16777216T", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
