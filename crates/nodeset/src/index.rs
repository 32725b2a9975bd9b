//! One index of a name, as a single integer.
//!
//! An element of a set of hosts *is* its string: `n1`, `n01` and `n001` are three hosts. An index is therefore not a number but a string
//! of digits, and its order is ClusterShell's: shorter strings first, then by value. Both facts fit in one integer, the **key**:
//!
//! ```text
//! string   0 … 9   00 … 99    000 … 999     …        -1  -2  -3
//! key      0 … 9   10 … 109   110 … 1109    …        -1  -2  -3
//! ```
//!
//! Keys compare as the strings should, and strings of one width that differ by one have keys that differ by one, so that a set of
//! indices is a set of integer intervals whatever the padding. The road not taken, a (value, width) pair per element, makes every
//! operation of the algebra care about padding; here only reading and folding do.
//!
//! This module knows nothing of sets.

use std::fmt;

/// The integer that stands for one index.
pub(crate) type Key = i128;

/// The most digits an index may have: the largest width whose keys fit in the machine's 128 bits.
pub const MAX_DIGITS: usize = 38;

const POWERS: [Key; MAX_DIGITS + 1] = {
    let mut table = [1; MAX_DIGITS + 1];
    let mut at = 1;
    while at <= MAX_DIGITS {
        table[at] = table[at - 1] * 10;
        at += 1;
    }
    table
};

/// `FIRST[w]` is the key of the string of `w` zeros.
const FIRST: [Key; MAX_DIGITS + 1] = {
    let mut table = [0; MAX_DIGITS + 1];
    let mut width = 2;
    while width <= MAX_DIGITS {
        table[width] = table[width - 1] + POWERS[width - 1];
        width += 1;
    }
    table
};

/// Returns 10 to the power of `exponent`, which is at most [`MAX_DIGITS`].
pub(crate) fn power_of_ten(exponent: usize) -> Key {
    POWERS[exponent]
}

/// Returns the key of the string of exactly `width` digits with this value.
pub(crate) fn key(width: usize, value: Key) -> Key {
    debug_assert!((1..=MAX_DIGITS).contains(&width) && (0..POWERS[width]).contains(&value));
    FIRST[width] + value
}

/// Returns the largest key of strings of `width` digits.
pub(crate) fn last_key(width: usize) -> Key {
    FIRST[width] + POWERS[width] - 1
}

/// Returns the key of a number written without padding; negative numbers are their own keys.
pub(crate) fn key_of_number(number: Key) -> Key {
    if number < 0 { number } else { key(natural_width(number), number) }
}

/// Returns how many digits the number has when nothing pads it.
pub(crate) fn natural_width(number: Key) -> usize {
    (1..MAX_DIGITS).find(|&width| number < POWERS[width]).unwrap_or(MAX_DIGITS)
}

/// Returns the key of a string of digits. `None` when it is empty, too long or holds anything else.
pub(crate) fn key_of_digits(digits: &[u8]) -> Option<Key> {
    value_of_digits(digits).map(|value| key(digits.len(), value))
}

/// Returns the value of a string of digits, however padded. `None` when it is empty, too long or holds anything else.
pub(crate) fn value_of_digits(digits: &[u8]) -> Option<Key> {
    if digits.is_empty() || digits.len() > MAX_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Eighteen digits fit in 64 bits, whose multiplication is several times faster.
    if digits.len() <= 18 {
        return Some(Key::from(digits.iter().fold(0_i64, |value, digit| value * 10 + i64::from(digit - b'0'))));
    }
    Some(digits.iter().fold(0, |value, digit| value * 10 + Key::from(digit - b'0')))
}

/// Returns the key of two strings of digits one after the other, which together are no longer than [`MAX_DIGITS`].
pub(crate) fn join(left: Key, right: Key) -> Key {
    let (left_width, left_value) = width_and_value(left);
    let (right_width, right_value) = width_and_value(right);
    key(left_width + right_width, left_value * POWERS[right_width] + right_value)
}

/// Returns the width and value of the string of digits behind a key that is not negative.
pub(crate) fn width_and_value(key: Key) -> (usize, Key) {
    debug_assert!(key >= 0);
    let width = (1..MAX_DIGITS).find(|&width| key < FIRST[width + 1]).unwrap_or(MAX_DIGITS);
    (width, key - FIRST[width])
}

/// Reports whether the string behind the key starts with a zero that a plain number would not have.
pub(crate) fn is_padded(key: Key) -> bool {
    if key < 0 {
        return false;
    }
    let (width, value) = width_and_value(key);
    width > 1 && value < POWERS[width - 1]
}

/// Returns the first key of the same width that no zero pads.
pub(crate) fn first_unpadded(key: Key) -> Key {
    let (width, _) = width_and_value(key);
    if width == 1 { 0 } else { FIRST[width] + POWERS[width - 1] }
}

/// Writes the string behind a key.
pub(crate) fn write_key(out: &mut impl fmt::Write, key: Key) -> fmt::Result {
    if key < 0 {
        return write!(out, "{key}");
    }
    let (width, value) = width_and_value(key);
    // Twenty digits at once through the stack: the formatting machinery of a padded i128 is ten times slower, and this is the inner
    // loop of every expansion.
    let mut digits = [b'0'; MAX_DIGITS];
    if let Ok(mut rest) = u64::try_from(value) {
        for digit in digits[..width].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    } else {
        let mut rest = value;
        for digit in digits[..width].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
    out.write_str(std::str::from_utf8(&digits[..width]).map_err(|_| fmt::Error)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(key: Key) -> String {
        let mut out = String::new();
        write_key(&mut out, key).unwrap();
        out
    }

    #[test]
    fn keys_order_strings_by_length_then_value() {
        let sorted = ["0", "1", "9", "00", "01", "10", "99", "000", "999", "0000"];
        let keys: Vec<Key> = sorted.iter().map(|digits| key_of_digits(digits.as_bytes()).unwrap()).collect();
        assert!(keys.is_sorted());
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(keys.iter().map(|&key| text(key)).collect::<Vec<_>>(), sorted);
    }

    #[test]
    fn the_widest_index_survives_and_a_wider_one_is_refused() {
        let widest = "9".repeat(MAX_DIGITS);
        assert_eq!(text(key_of_digits(widest.as_bytes()).unwrap()), widest);
        assert_eq!(last_key(MAX_DIGITS), key_of_digits(widest.as_bytes()).unwrap());
        assert_eq!(key_of_digits("9".repeat(MAX_DIGITS + 1).as_bytes()), None);
    }

    #[test]
    fn only_a_leading_zero_pads() {
        let padded = |digits: &str| is_padded(key_of_digits(digits.as_bytes()).unwrap());
        assert!(!padded("0") && !padded("10") && !padded("100"));
        assert!(padded("00") && padded("01") && padded("099"));
        assert!(!is_padded(-1));
    }
}
