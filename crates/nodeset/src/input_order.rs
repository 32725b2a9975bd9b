//! Names in the order in which they were typed, which ClusterShell cannot give back.

use crate::error::ParseError;
use crate::index::{self, Key};
use crate::nodeset::NodeSet;
use crate::syntax::{AsTyped, Dialect, Token, operands, tokens};
use foldhash::{HashSet, HashSetExt};

/// The names of a text in the order in which it names them, each once. From [`expand_in_input_order`].
#[derive(Debug)]
pub struct InputOrder {
    operands: std::vec::IntoIter<OperandNames>,
    current: Option<OperandNames>,
    set: NodeSet,
    seen: HashSet<String>,
}

/// Expands a node set in the order of its text: `b,a[3,1]` is `b`, `a3`, `a1`.
///
/// A name is where it is first mentioned, if the set has it at all: operators other than `,` only take names away, or bring in those
/// that they mention. The names are made one by one; only those already given are kept in memory.
///
/// ```
/// use phalanx_nodeset::expand_in_input_order;
/// let names: Vec<String> = expand_in_input_order("b,a[3,1-2],b!a2")?.collect();
/// assert_eq!(names, ["b", "a3", "a1"]);
/// # Ok::<(), phalanx_nodeset::ParseError>(())
/// ```
///
/// # Errors
/// When the text is no node set, as for [`NodeSet::parse`].
pub fn expand_in_input_order(text: &str) -> Result<InputOrder, ParseError> {
    let set: NodeSet = text.parse()?;
    let operands = operands(text, Dialect::Phalanx)?.into_iter().map(|operand| {
        tokens(operand.text, operand.offset, text, Dialect::Phalanx).map(|tokens| OperandNames::new(&tokens))
    });
    Ok(InputOrder::new(operands.collect::<Result<_, _>>()?, set))
}

impl InputOrder {
    pub(crate) fn new(operands: Vec<OperandNames>, set: NodeSet) -> Self {
        InputOrder { operands: operands.into_iter(), current: None, set, seen: HashSet::new() }
    }
}

impl Iterator for InputOrder {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        loop {
            let Some(name) = self.current.as_mut().and_then(OperandNames::next) else {
                self.current = Some(self.operands.next()?);
                continue;
            };
            if self.set.contains(&name) && self.seen.insert(name.clone()) {
                return Some(name);
            }
        }
    }
}

/// The names of one operand as typed, the last axis fastest.
#[derive(Debug)]
pub(crate) enum OperandNames {
    Typed(TypedNames),
    /// A group's nodes, in the order of their set.
    Listed(std::vec::IntoIter<String>),
}

impl OperandNames {
    pub(crate) fn new(tokens: &[Token<'_>]) -> Self {
        OperandNames::Typed(TypedNames::new(tokens))
    }

    pub(crate) fn of_set(set: &NodeSet) -> Self {
        OperandNames::Listed(set.iter().collect::<Vec<_>>().into_iter())
    }
}

impl Iterator for OperandNames {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        match self {
            OperandNames::Typed(names) => names.next(),
            OperandNames::Listed(names) => names.next(),
        }
    }
}

/// An odometer over the axes of an operand.
#[derive(Debug)]
pub(crate) struct TypedNames {
    pieces: Vec<TypedPiece>,
    done: bool,
}

#[derive(Debug)]
enum TypedPiece {
    Text(String),
    Axis { indices: AsTyped, at: u128 },
}

impl TypedNames {
    fn new(tokens: &[Token<'_>]) -> Self {
        let piece = |token: &Token<'_>| match token {
            Token::Text(text) => TypedPiece::Text((*text).to_owned()),
            Token::Axis(axis) => TypedPiece::Axis { indices: axis.as_typed.clone(), at: 0 },
        };
        TypedNames { pieces: tokens.iter().map(piece).collect(), done: false }
    }

    fn name(&self) -> String {
        let mut name = String::new();
        for piece in &self.pieces {
            match piece {
                TypedPiece::Text(text) => name.push_str(text),
                TypedPiece::Axis { indices, at } => push_key(&mut name, indices.key_at(*at)),
            }
        }
        name
    }

    /// Moves on; returns false when the odometer is back at the start.
    fn advance(&mut self) -> bool {
        for piece in self.pieces.iter_mut().rev() {
            if let TypedPiece::Axis { indices, at } = piece {
                *at += 1;
                if *at < indices.len() {
                    return true;
                }
                *at = 0;
            }
        }
        false
    }
}

impl Iterator for TypedNames {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        if self.done {
            return None;
        }
        let name = self.name();
        self.done = !self.advance();
        Some(name)
    }
}

fn push_key(name: &mut String, key: Key) {
    index::write_key(name, key).expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, names: &[&str]) {
        assert_eq!(expand_in_input_order(text).unwrap().collect::<Vec<_>>(), names, "{text}");
    }

    #[test]
    fn names_come_as_typed_and_once() {
        check("n[5,3,1],n3,a", &["n5", "n3", "n1", "a"]);
        check("n[9-10,1-5/2]", &["n9", "n10", "n1", "n3", "n5"]);
    }

    #[test]
    fn several_axes_turn_from_the_right() {
        check("b[2,1]a[2,1]", &["b2a2", "b2a1", "b1a2", "b1a1"]);
        check("a[2,1]3[5,4]", &["a235", "a234", "a135", "a134"]);
    }

    #[test]
    fn operators_take_away_and_bring_in() {
        check("b,a!b", &["a"]);
        check("a^b^a", &["b"]);
        check("c,b,a&a,c", &["c", "a"]);
    }
}
