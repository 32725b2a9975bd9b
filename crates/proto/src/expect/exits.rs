//! The few bytes that lead out of a state, where they are few: all others can be passed over at memory speed. Knows
//! nothing of automata.

use memchr::{memchr, memchr2, memchr3};

/// One to three bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exits {
    One(u8),
    Two(u8, u8),
    Three(u8, u8, u8),
}

impl Exits {
    /// `None` for more bytes than can be looked for at once, for none at all, and for bytes that are too frequent: text
    /// consists of letters, digits and spaces, and to stop at every tenth byte costs more than to read all of them.
    pub(super) fn new(mut bytes: impl Iterator<Item = u8> + Clone) -> Option<Self> {
        if bytes.clone().any(|byte| byte.is_ascii_alphanumeric() || byte == b' ') {
            return None;
        }
        match (bytes.next(), bytes.next(), bytes.next(), bytes.next()) {
            (Some(one), None, _, _) => Some(Self::One(one)),
            (Some(one), Some(two), None, _) => Some(Self::Two(one, two)),
            (Some(one), Some(two), Some(three), None) => Some(Self::Three(one, two, three)),
            _ => None,
        }
    }

    /// Where the first of them is.
    pub(super) fn find(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::One(one) => memchr(one, bytes),
            Self::Two(one, two) => memchr2(one, two, bytes),
            Self::Three(one, two, three) => memchr3(one, two, three, bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_three_bytes_are_found_and_more_are_not_looked_for() {
        let found = |bytes: &[u8]| Exits::new(bytes.iter().copied()).map(|exits| exits.find(b"ab#:"));
        assert_eq!(found(b""), None);
        assert_eq!(found(b"#"), Some(Some(2)));
        assert_eq!(found(b"$#"), Some(Some(2)));
        assert_eq!(found(b":$#"), Some(Some(2)));
        assert_eq!(found(b"$%&"), Some(None));
        assert_eq!(found(b"$#:%"), None);
    }

    #[test]
    fn frequent_bytes_are_not_worth_a_stop() {
        for byte in *b"e7 " {
            assert_eq!(Exits::new([b'$', byte].into_iter()), None);
        }
    }
}
