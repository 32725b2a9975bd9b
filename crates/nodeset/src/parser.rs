//! Text into sets: [`Parser`].

use crate::builder::Builder;
use crate::error::{ParseError, ParseErrorKind};
use crate::nodeset::NodeSet;
use crate::pattern::push_text;
use crate::rangeset::{MAX_PIECES, RangeSet};
use crate::space::{Budget, Keep, TooFragmented};
use crate::syntax::{Dialect, Operand, Operator, Token, operands, tokens};
use std::str::FromStr;

impl FromStr for NodeSet {
    type Err = ParseError;

    /// Reads a set in the dialect of Phalanx, without groups.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse_plain(text, Dialect::Phalanx)
    }
}

impl NodeSet {
    /// Reads a set; the same as `text.parse()`.
    ///
    /// # Errors
    /// When the text is no node set, or would need more than [`crate::MAX_PIECES`] pieces of memory.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        text.parse()
    }
}

fn parse_plain(text: &str, dialect: Dialect) -> Result<NodeSet, ParseError> {
    let mut evaluation = Evaluation::default();
    for operand in operands(text, dialect)? {
        evaluation.operand(operand, text, dialect)?;
    }
    evaluation.finish().map_err(|TooFragmented| too_fragmented(text, 0))
}

fn too_fragmented(text: &str, offset: usize) -> ParseError {
    ParseError::new(ParseErrorKind::TooFragmented, text, offset)
}

/// The value of the operands so far. Unions in a row are put on a heap and sorted once.
#[derive(Debug)]
pub(crate) struct Evaluation {
    value: NodeSet,
    heap: Builder,
    budget: Budget,
}

impl Default for Evaluation {
    fn default() -> Self {
        Evaluation { value: NodeSet::new(), heap: Builder::default(), budget: Budget::pieces(MAX_PIECES) }
    }
}

impl Evaluation {
    fn operand(&mut self, operand: Operand<'_>, whole: &str, dialect: Dialect) -> Result<(), ParseError> {
        let fragmented = |TooFragmented| too_fragmented(whole, operand.offset);
        if operand.text.starts_with('@') {
            return Err(ParseError::new(ParseErrorKind::NoGroups(operand.text.to_owned()), whole, operand.offset));
        }
        let tokens = tokens(operand.text, operand.offset, whole, dialect)?;
        if operand.operator == Operator::Union {
            return push_operand(&tokens, &mut self.heap, &mut self.budget).map_err(fragmented);
        }
        let mut right = Builder::default();
        push_operand(&tokens, &mut right, &mut self.budget).map_err(fragmented)?;
        let right = right.finish(&mut self.budget).map_err(fragmented)?;
        self.apply(operand.operator, &right).map_err(fragmented)
    }

    pub(crate) fn apply(&mut self, operator: Operator, right: &NodeSet) -> Result<(), TooFragmented> {
        self.settle()?;
        let keep = match operator {
            Operator::Union => Keep::UNION,
            Operator::Difference => Keep::DIFFERENCE,
            Operator::Intersection => Keep::INTERSECTION,
            Operator::SymmetricDifference => Keep::SYMMETRIC_DIFFERENCE,
        };
        self.value = self.value.combine(right, keep, &mut self.budget)?;
        Ok(())
    }

    fn settle(&mut self) -> Result<(), TooFragmented> {
        if !self.heap.is_empty() {
            let added = std::mem::take(&mut self.heap).finish(&mut self.budget)?;
            self.value = self.value.combine(&added, Keep::UNION, &mut self.budget)?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<NodeSet, TooFragmented> {
        self.settle()?;
        Ok(self.value)
    }
}

/// Adds what an operand says to a heap.
fn push_operand(tokens: &[Token<'_>], heap: &mut Builder, budget: &mut Budget) -> Result<(), TooFragmented> {
    let negative = |token: &Token<'_>| matches!(token, Token::Axis(axis) if axis.set.has_negative());
    if tokens.iter().any(negative) {
        heap.note_negative_notation();
        return push_with_negatives(tokens, heap, budget);
    }
    let mut pattern = String::new();
    let mut axes = Vec::new();
    for token in tokens {
        match token {
            Token::Text(text) => push_text(&mut pattern, text),
            Token::Axis(axis) => {
                pattern.push_str("%s");
                axes.push(axis.set.clone());
            }
        }
    }
    heap.push_box(&pattern, &axes, budget)
}

/// An element is its string, so `foo[-1]` is the same as `foo-1`: the hyphen becomes text, and an axis with numbers of both signs becomes
/// two patterns.
fn push_with_negatives(tokens: &[Token<'_>], heap: &mut Builder, budget: &mut Budget) -> Result<(), TooFragmented> {
    let mut boxes: Vec<(String, Vec<RangeSet>)> = vec![(String::new(), Vec::new())];
    for token in tokens {
        match token {
            Token::Text(text) => boxes.iter_mut().for_each(|(pattern, _)| push_text(pattern, text)),
            Token::Axis(axis) => {
                let (negated, rest) = axis.set.split_negative();
                budget.spend(boxes.len())?;
                let choices = [("-%s", negated), ("%s", rest)];
                let choices = choices.iter().filter(|(_, set)| !set.is_empty());
                let with = |(pattern, axes): (&String, &Vec<RangeSet>), (text, set): &(&str, RangeSet)| {
                    (format!("{pattern}{text}"), axes.iter().chain([set]).cloned().collect::<Vec<_>>())
                };
                boxes = choices.flat_map(|choice| boxes.iter().map(move |(p, a)| with((p, a), choice))).collect();
            }
        }
    }
    boxes.iter().try_for_each(|(pattern, axes)| heap.push_box(pattern, axes, budget))
}
