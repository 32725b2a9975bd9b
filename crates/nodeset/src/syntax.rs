//! The text of a node set as operands, and an operand as text and axes. Knows nothing of groups' contents or of sets of names.
//!
//! ```text
//! rack[1-2]-node0[1-9] , login !  @down
//! └────── operand ───┘   └────┘   └───┘     each with the operator before it: `,` `!` `&` `^`, from left to right, none binds tighter
//! rack [1-2] -node 0[1-9]
//! text  axis text   axis                    digits that touch a bracket belong to its axis
//! ```

use crate::error::{ParseError, ParseErrorKind, RangeErrorKind};
use crate::index::{self, Key, MAX_DIGITS};
use crate::pattern::MAX_AXES;
use crate::rangeset::{MAX_PIECES, RangeSet, Span, TypedRange, parse_ranges, set_of};

/// How much a text may say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Everything: `a[1-2]3[4-5]` and `a[1-2][3-4]` are sets, and `[fe80::1]` is an IPv6 address in brackets and not a range.
    #[default]
    Phalanx,
    /// What ClusterShell 1.10 reads, and its errors for the rest: for scripts that switch.
    ClusterShell,
}

/// The four operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Union,
    Difference,
    Intersection,
    SymmetricDifference,
}

impl Operator {
    fn of(byte: u8) -> Option<Operator> {
        match byte {
            b',' => Some(Operator::Union),
            b'!' => Some(Operator::Difference),
            b'&' => Some(Operator::Intersection),
            b'^' => Some(Operator::SymmetricDifference),
            _ => None,
        }
    }
}

/// An operand and the operator before it; the first has `Union`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operand<'a> {
    pub(crate) operator: Operator,
    pub(crate) text: &'a str,
    /// Of `text` in the whole.
    pub(crate) offset: usize,
}

/// Cuts a text at its operators. White space alone is no operand at all; a missing one is an error.
pub(crate) fn operands(whole: &str, dialect: Dialect) -> Result<Vec<Operand<'_>>, ParseError> {
    let end = whole.trim_end().len();
    let text = &whole[..end];
    let mut start = end - text.trim_start().len();
    let mut operands = Vec::new();
    let mut operator = Operator::Union;
    let mut at = start;
    while at < end {
        match text.as_bytes()[at] {
            b'[' => at = skip_bracket(text, at, dialect)?,
            byte => {
                if let Some(next) = Operator::of(byte) {
                    operands.push(operand(whole, text, start..at, operator, at)?);
                    (operator, start) = (next, at + 1);
                }
                at += 1;
            }
        }
    }
    if start < end {
        operands.push(operand(whole, text, start..end, operator, start)?);
    } else if !operands.is_empty() {
        return Err(missing_last(whole, text, &operands));
    }
    Ok(operands)
}

fn operand<'a>(
    whole: &str,
    text: &'a str,
    range: std::ops::Range<usize>,
    operator: Operator,
    at: usize,
) -> Result<Operand<'a>, ParseError> {
    let raw = &text[range.clone()];
    let trimmed = raw.trim_start();
    if trimmed.is_empty() {
        let rest = &text[at + 1..];
        return Err(missing_operand(whole, text.as_bytes()[at], (!rest.is_empty()).then_some(rest), at));
    }
    Ok(Operand { operator, text: trimmed.trim_end(), offset: range.start + (raw.len() - trimmed.len()) })
}

/// Returns the error of an operator at the very end, which has nothing on its right. ClusterShell names the operand on its left unless
/// that ends with a bracket.
fn missing_last(whole: &str, text: &str, operands: &[Operand<'_>]) -> ParseError {
    let at = text.len() - 1;
    let left = operands.last().map(|operand| &text[operand.offset..at]).filter(|left| !left.contains('['));
    missing_operand(whole, text.as_bytes()[at], left, at)
}

fn missing_operand(whole: &str, operator: u8, operand: Option<&str>, at: usize) -> ParseError {
    let kind = ParseErrorKind::MissingOperand { operator: char::from(operator), operand: operand.map(str::to_owned) };
    ParseError::new(kind, whole, at)
}

/// Cuts a text at white space into node sets that are all meant, as the lines of a file or the output of an upcall are. White space inside
/// of brackets and beside an operator cuts nothing; only ASCII's counts.
///
/// ```
/// let words: Vec<&str> = phalanx_nodeset::words("n[1, 2] n3\nlogin , gw").collect();
/// assert_eq!(words, ["n[1, 2]", "n3", "login , gw"]);
/// ```
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        let end = end_of_word(rest)?;
        let word = &rest[..end];
        rest = rest[end..].trim_start();
        Some(word)
    })
}

fn end_of_word(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut in_bracket = false;
    // The last byte that is no white space.
    let mut last = b' ';
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'[' => in_bracket = true,
            b']' => in_bracket = false,
            _ if byte.is_ascii_whitespace() => {
                let next = bytes[at..].iter().find(|byte| !byte.is_ascii_whitespace());
                let beside_operator =
                    Operator::of(last).is_some() || next.is_some_and(|&next| Operator::of(next).is_some());
                if !in_bracket && !beside_operator {
                    return Some(at);
                }
                continue;
            }
            _ => {}
        }
        last = byte;
    }
    (!text.is_empty()).then_some(text.len())
}

/// Returns where the text goes on after the bracket that opens at `at`.
fn skip_bracket(text: &str, at: usize, dialect: Dialect) -> Result<usize, ParseError> {
    if dialect == Dialect::Phalanx && opens_address(&text[at + 1..]) {
        return Ok(at + 1);
    }
    match text[at..].find(']') {
        Some(length) => Ok(at + length + 1),
        None => Err(ParseError::new(ParseErrorKind::MissingBracket(text.trim_start().to_owned()), text, at)),
    }
}

/// Reports whether what follows a `[` is an IPv6 address, as in `[fe80::1]:22`: a colon comes before anything else that
/// is no hexadecimal digit. A range never holds a colon, so nothing ClusterShell reads changes its meaning.
fn opens_address(inside: &str) -> bool {
    inside.bytes().find(|byte| !byte.is_ascii_hexdigit()) == Some(b':')
}

/// A piece of an operand.
#[derive(Debug)]
pub(crate) enum Token<'a> {
    /// Literal text without digits that could be an index.
    Text(&'a str),
    /// Digits and brackets that touch each other.
    Axis(Axis),
}

/// One axis of an operand.
#[derive(Debug)]
pub(crate) struct Axis {
    pub(crate) as_typed: AsTyped,
    pub(crate) set: RangeSet,
}

/// The indices of one axis in the order in which they were typed, with repetitions: the product of parts that are joined as text.
#[derive(Debug, Clone)]
pub(crate) struct AsTyped(Vec<Vec<TypedRange>>);

impl AsTyped {
    pub(crate) fn len(&self) -> u128 {
        self.0.iter().map(|part| part_len(part)).fold(1, u128::saturating_mul)
    }

    /// Returns the index at a position below [`len`](Self::len); the last part turns fastest.
    pub(crate) fn key_at(&self, position: u128) -> Key {
        let mut below = self.len();
        let mut rest = position;
        let keys = self.0.iter().map(|part| {
            below /= part_len(part);
            let at = rest / below;
            rest %= below;
            key_in_part(part, at)
        });
        keys.reduce(index::join).expect("an axis has a part")
    }
}

fn part_len(part: &[TypedRange]) -> u128 {
    part.iter().map(|range| range.len()).sum()
}

fn key_in_part(part: &[TypedRange], mut position: u128) -> Key {
    for range in part {
        if position < range.len() {
            return range.key_at(position);
        }
        position -= range.len();
    }
    unreachable!("the position is below the length of the part")
}

/// Reads one operand, which is neither empty nor a group. `offset` is where it is in `whole`, for errors.
pub(crate) fn tokens<'a>(
    text: &'a str,
    offset: usize,
    whole: &str,
    dialect: Dialect,
) -> Result<Vec<Token<'a>>, ParseError> {
    Tokens { text, offset, whole, dialect, at: 0, tokens: Vec::new(), axes: 0, ranges: 0 }.read()
}

struct Tokens<'a, 'w> {
    text: &'a str,
    offset: usize,
    whole: &'w str,
    dialect: Dialect,
    at: usize,
    tokens: Vec<Token<'a>>,
    axes: usize,
    /// How many axes have a bracket; those may not silently become text.
    ranges: usize,
}

impl<'a> Tokens<'a, '_> {
    fn read(mut self) -> Result<Vec<Token<'a>>, ParseError> {
        while let Some(&byte) = self.text.as_bytes().get(self.at) {
            if byte.is_ascii_digit() || self.at_range() {
                self.axis()?;
            } else {
                self.text()?;
            }
        }
        Ok(self.tokens)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Returns the rest of the whole text, which ClusterShell quotes in its messages.
    fn whole_rest(&self) -> &str {
        self.whole[self.offset + self.at..].trim_end()
    }

    fn at_range(&self) -> bool {
        let inside = self.rest().strip_prefix('[');
        inside.is_some_and(|inside| !(self.dialect == Dialect::Phalanx && opens_address(inside)))
    }

    fn error(&self, kind: ParseErrorKind) -> ParseError {
        ParseError::new(kind, self.whole, self.offset + self.at)
    }

    fn text(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        let mut addresses = 0;
        while let Some(&byte) = self.text.as_bytes().get(self.at) {
            match byte {
                b'[' if self.at_range() => break,
                b'[' => addresses += 1,
                b']' if addresses > 0 || self.closes_address() => addresses -= i32::from(addresses > 0),
                b']' => return Err(self.closing_bracket(start)),
                digit if digit.is_ascii_digit() => break,
                _ => {}
            }
            self.at += 1;
        }
        self.tokens.push(Token::Text(&self.text[start..self.at]));
        Ok(())
    }

    /// Reports whether an address that was opened in an earlier piece of text is still open: digits come between.
    fn closes_address(&self) -> bool {
        let opened = self.tokens.iter().filter_map(|token| match token {
            Token::Text(text) => {
                Some(text.bytes().map(|byte| i32::from(byte == b'[') - i32::from(byte == b']')).sum::<i32>())
            }
            Token::Axis(_) => None,
        });
        opened.sum::<i32>() > 0
    }

    fn closing_bracket(&self, start: usize) -> ParseError {
        // Digits before the text are a token of their own, but belong to what the message quotes.
        let start = self.text[..start].rfind(']').map_or(0, |bracket| bracket + 1);
        let end = self.text[start..].find('[').map_or(self.text.len(), |bracket| start + bracket);
        self.error(ParseErrorKind::ClosingBracket(self.text[start..end].to_owned()))
    }

    fn axis(&mut self) -> Result<(), ParseError> {
        let start = self.at;
        let prefix = self.digits();
        if !self.at_range() {
            return self.plain_digits(prefix, start);
        }
        self.ranges += 1;
        if self.axes >= MAX_AXES {
            return Err(self.error(ParseErrorKind::TooManyAxes(self.text.to_owned())));
        }
        self.refuse_reopening()?;
        let first = self.bracket(prefix)?;
        let stepped = first.iter().any(|range| range.stepped);
        let mut axis = Axis { set: self.set(&first, start)?, as_typed: AsTyped(vec![first]) };
        loop {
            let part_start = self.at;
            let digits = self.digits();
            let part = if !digits.is_empty() {
                if stepped && self.dialect == Dialect::ClusterShell {
                    self.at = part_start;
                    return Err(self.error(ParseErrorKind::DigitsAfterStep(self.whole_rest().to_owned())));
                }
                TypedRange::of_digits(digits).map(|range| vec![range]).ok_or_else(|| self.too_many_digits(digits))?
            } else if self.at_range() {
                self.bracket("")?
            } else {
                break;
            };
            let set = self.set(&part, part_start)?;
            axis.set = join_sets(&axis.set, &set).map_err(|kind| self.error(kind))?;
            axis.as_typed.0.push(part);
        }
        self.axes += 1;
        self.tokens.push(Token::Axis(axis));
        Ok(())
    }

    /// Refuses a second opening bracket: ClusterShell looks at the next bracket before it reads what is in this one.
    fn refuse_reopening(&mut self) -> Result<(), ParseError> {
        let Some(close) = self.rest().find(']').filter(|_| self.dialect == Dialect::ClusterShell) else {
            return Ok(());
        };
        let digits = self.rest()[close + 1..].bytes().take_while(u8::is_ascii_digit).count();
        if !self.rest()[close + 1 + digits..].starts_with('[') {
            return Ok(());
        }
        self.at += close + 1 + digits;
        Err(self.error(ParseErrorKind::ReopeningBracket(self.whole_rest().to_owned())))
    }

    fn plain_digits(&mut self, digits: &'a str, start: usize) -> Result<(), ParseError> {
        match TypedRange::of_digits(digits).filter(|_| self.axes < MAX_AXES) {
            Some(range) => {
                let set = self.set(&[range], start)?;
                self.axes += 1;
                self.tokens.push(Token::Axis(Axis { as_typed: AsTyped(vec![vec![range]]), set }));
            }
            None => self.tokens.push(Token::Text(digits)),
        }
        Ok(())
    }

    fn digits(&mut self) -> &'a str {
        let rest = self.rest();
        let length = rest.bytes().take_while(u8::is_ascii_digit).count();
        self.at += length;
        &rest[..length]
    }

    fn bracket(&mut self, prefix: &str) -> Result<Vec<TypedRange>, ParseError> {
        let open = self.at;
        let inside = &self.rest()[1..];
        let length =
            inside.find(']').ok_or_else(|| self.error(ParseErrorKind::MissingBracket(self.text.to_owned())))?;
        if let Some(kind) = self.nested_bracket(inside, length) {
            return Err(self.error(kind));
        }
        self.at += length + 2;
        parse_ranges(&inside[..length], prefix)
            .map_err(|(kind, at)| ParseError::new(ParseErrorKind::Range(kind), self.whole, self.offset + open + 1 + at))
    }

    /// Returns the error of `foo[[1-2]]`: ClusterShell reports the bracket that closes once too often.
    fn nested_bracket(&self, inside: &str, length: usize) -> Option<ParseErrorKind> {
        inside[..length].contains('[').then(|| {
            let rest = &inside[length + 1..];
            if rest.contains(']') {
                ParseErrorKind::ClosingBracket(rest.to_owned())
            } else {
                ParseErrorKind::Range(RangeErrorKind::NotANumber(inside[..length].to_owned()))
            }
        })
    }

    fn set(&self, ranges: &[TypedRange], at: usize) -> Result<RangeSet, ParseError> {
        set_of(ranges).map_err(|kind| ParseError::new(ParseErrorKind::Range(kind), self.whole, self.offset + at))
    }

    fn too_many_digits(&self, digits: &str) -> ParseError {
        self.error(ParseErrorKind::Range(RangeErrorKind::TooManyDigits(digits.to_owned())))
    }
}

/// Returns every string of the one set followed by every string of the other.
fn join_sets(left: &RangeSet, right: &RangeSet) -> Result<RangeSet, ParseErrorKind> {
    let beside = |text: String| ParseErrorKind::Range(RangeErrorKind::NegativeBesideDigits(text));
    if let Some(negative) = left.keys().next().into_iter().chain(right.keys().next()).find(|&key| key < 0) {
        return Err(beside(negative.to_string()));
    }
    if left.len().saturating_mul(right.spans().len() as u128) > MAX_PIECES as u128 {
        return Err(ParseErrorKind::TooFragmented);
    }
    let widest = |set: &RangeSet| set.spans().last().map_or(0, |span| index::width_and_value(span.last).0);
    if widest(left) + widest(right) > MAX_DIGITS {
        return Err(ParseErrorKind::Range(RangeErrorKind::TooManyDigits(format!("{left}{right}"))));
    }
    let right = right.by_width();
    let joined = |key| {
        right.iter().map(move |span| Span { first: index::join(key, span.first), last: index::join(key, span.last) })
    };
    Ok(RangeSet::from_spans(left.keys().flat_map(joined).collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn cut(text: &str) -> Vec<(Operator, &str, usize)> {
        let operands = operands(text, Dialect::Phalanx).unwrap();
        operands.into_iter().map(|operand| (operand.operator, operand.text, operand.offset)).collect()
    }

    #[test]
    fn operators_cut_outside_of_brackets_only() {
        use Operator::*;
        assert_eq!(
            cut(" a[1,2] ,b ! c&d^e"),
            [
                (Union, "a[1,2]", 1),
                (Union, "b", 9),
                (Difference, "c", 13),
                (Intersection, "d", 15),
                (SymmetricDifference, "e", 17)
            ]
        );
        assert_eq!(cut("  "), []);
    }

    #[test]
    fn an_address_in_brackets_is_text() {
        assert!(opens_address("fe80::1]") && opens_address("::1]") && opens_address("2001:db8::[1-4]]"));
        assert!(!opens_address("1-4]") && !opens_address("12]") && !opens_address("a"));
    }
}
