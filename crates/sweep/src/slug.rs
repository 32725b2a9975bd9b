//! Names for directories and files: the exact one of a combination, and one for people to read of anything.
//!
//! Pure text. The exact one is stable: it is written into file systems, and must be found again by later versions.

use std::fmt::Write as _;

use super::value::Value;

/// What most file systems allow a name to be, in bytes, less what people append (`.stdout`, `.json.tmp`).
const LONGEST: usize = 200;

/// Returns `text` with every run of characters other than letters, digits and `.` replaced by one `separator`, none at
/// its ends: a readable label. Different texts can have the same one; [`slug`](super::Combination::slug) is the exact
/// name of a combination.
///
/// ```
/// assert_eq!(phalanx_sweep::slugify("TCP (cubic): 10 ms", '_'), "TCP_cubic_10_ms");
/// ```
pub fn slugify(text: &str, separator: char) -> String {
    let words = text.split(|char: char| !char.is_alphanumeric() && char != '.').filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(separator.encode_utf8(&mut [0; 4]))
}

/// Returns the exact name of a combination. Different combinations have different names:
///
/// 1. factors in the order of their names, `name=value`, joined by `,`
/// 2. letters (of any script), digits, `_`, `.`, `-` and `+` stand for themselves; other characters are `%` and two
///    hexadecimal digits for each byte of their UTF-8, as in URLs
/// 3. so does the first character of a text that would read as a number or a boolean otherwise, and of a name that
///    begins with neither letter, digit nor `_`: no name begins with `.` or `-`
/// 4. a name that would be longer than 200 bytes is cut, and ends in `~` and a hash of the whole (FNV-1a, 128 bits)
/// 5. the combination of nothing is `%`
pub(super) fn slug<'a>(values: impl IntoIterator<Item = (&'a str, &'a Value)>) -> String {
    let mut slug = String::new();
    for (name, value) in values {
        let separator = if slug.is_empty() { "" } else { "," };
        slug.push_str(separator);
        encode(name, !name.starts_with(is_beginning), &mut slug);
        slug.push('=');
        encode_value(value, &mut slug);
    }
    if slug.is_empty() { "%".to_owned() } else { shortened(slug) }
}

fn is_beginning(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn encode_value(value: &Value, slug: &mut String) {
    match value {
        Value::Text(text) => encode(text, reads_as_something_else(text), slug),
        // Digits, `.`, `-`, `e` and letters: nothing to encode.
        other => write!(slug, "{other}").expect("a String takes everything"),
    }
}

/// Reports whether a text could be taken for a number or a boolean; wider than how numbers are shown here, so that no
/// detail of their formatting matters.
fn reads_as_something_else(text: &str) -> bool {
    matches!(text, "true" | "false") || text.parse::<f64>().is_ok()
}

fn encode(text: &str, mut first_too: bool, slug: &mut String) {
    for char in text.chars() {
        let plain = char.is_alphanumeric() || matches!(char, '_' | '.' | '-' | '+');
        if plain && !first_too {
            slug.push(char);
        } else {
            for byte in char.encode_utf8(&mut [0; 4]).bytes() {
                write!(slug, "%{byte:02X}").expect("a String takes everything");
            }
        }
        first_too = false;
    }
}

fn shortened(mut slug: String) -> String {
    if slug.len() <= LONGEST {
        return slug;
    }
    let hash = fnv1a(slug.as_bytes());
    let kept = LONGEST - "~".len() - 2 * size_of::<u128>();
    let end = (0..=kept).rev().find(|end| slug.is_char_boundary(*end)).unwrap_or(0);
    slug.truncate(end);
    write!(slug, "~{hash:032x}").expect("a String takes everything");
    slug
}

/// Computes FNV-1a with 128 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>). It need not resist an attacker, only stay the
/// same for ever, which the standard library's hashes do not promise.
fn fnv1a(bytes: &[u8]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(OFFSET, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

#[cfg(test)]
mod tests {
    use super::super::Combination;
    use super::*;

    fn slug_of(name: &str, value: impl Into<Value>) -> String {
        Combination::new([(name, value.into())]).slug()
    }

    #[test]
    fn slugs_are_readable_and_safe() {
        let table = [
            (slug_of("rtt", 10), "rtt=10"),
            (slug_of("loss", Value::try_from(0.1).unwrap()), "loss=0.1"),
            (slug_of("tiny", Value::try_from(1e-7).unwrap()), "tiny=1e-7"),
            (slug_of("on", true), "on=true"),
            (slug_of("cc", "cubic"), "cc=cubic"),
            (slug_of("cc", "10"), "cc=%310"),
            (slug_of("cc", "true"), "cc=%74rue"),
            (slug_of("cc", "inf"), "cc=%69nf"),
            (slug_of("cc", ""), "cc="),
            (slug_of("path", "../a b"), "path=..%2Fa%20b"),
            (slug_of("-x", "ü,=%~\n"), "%2Dx=ü%2C%3D%25%7E%0A"),
            (slug_of("..", 1), "%2E.=1"),
            (Combination::default().slug(), "%"),
        ];
        for (slug, expected) in table {
            assert_eq!(slug, expected);
        }
    }

    #[test]
    fn a_long_slug_is_cut_at_a_character_and_stays_different() {
        let slug = |end: &str| slug_of("name", format!("{}{end}", "é".repeat(300)));
        assert!(slug("a").len() <= LONGEST && slug("a").starts_with("name=éé"));
        assert_ne!(slug("a"), slug("b"));
        assert_eq!(slug_of("n", "x".repeat(LONGEST - 2)).len(), LONGEST);
    }

    #[test]
    fn the_hash_is_the_published_one() {
        // From the test vectors of draft-eastlake-fnv, appendix C.
        assert_eq!(fnv1a(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(fnv1a(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
        assert_eq!(fnv1a(b"foobar"), 0x343e_1662_793c_64bf_6f0d_3597_ba44_6f18);
    }

    #[test]
    fn labels_are_words_and_separators() {
        assert_eq!(slugify("  a--b/c.d ", '-'), "a-b-c.d");
        assert_eq!(slugify("…", '_'), "");
    }
}
