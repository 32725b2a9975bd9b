//! What a factor can be set to: a text, a number or a boolean.
//!
//! Knows no factor and no file, only which values are the same one: a sweep is resumed by comparing values that were
//! written by one program and read by another, perhaps in another language.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A value of a factor.
///
/// Numbers are equal when they are mathematically equal, whatever type they came from: `1.0` is `1`, and `-0.0` is
/// `0`. (JavaScript writes no other `1`.) A text never equals a number or a boolean. Values are ordered: booleans,
/// then numbers, then texts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(Float),
    /// A text.
    Text(String),
}

/// A number that is finite and no [`Value::Integer`]; so no two that are equal look different.
#[derive(Debug, Clone, Copy)]
pub struct Float(f64);

/// A value that cannot be part of a sweep.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// JSON has no such number, and it would not equal itself when a sweep is resumed.
    #[error("{0} cannot be a value in a sweep: use a finite number, or a text")]
    NotFinite(f64),
    /// Beyond what most readers of JSON keep apart.
    #[error("{0} cannot be a value in a sweep: whole numbers must fit 64 bits with a sign; use a text")]
    TooLarge(u64),
    /// Lists, objects and null.
    #[error("`{0}` cannot be a value in a sweep: use a text, a number or a boolean")]
    NotPlain(String),
}

impl Float {
    /// Returns the number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Float {}

impl PartialOrd for Float {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Float {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Hash for Float {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl Value {
    /// Returns the text, when it is one.
    pub fn as_text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    /// Returns the whole number, when it is one.
    pub fn as_integer(&self) -> Option<i64> {
        if let Value::Integer(integer) = self { Some(*integer) } else { None }
    }

    /// Returns the number, when it is one; a whole number beyond 2⁵³ is rounded.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Integer(integer) => Some(*integer as f64),
            Value::Float(float) => Some(float.0),
            Value::Boolean(_) | Value::Text(_) => None,
        }
    }

    /// Returns the boolean, when it is one.
    pub fn as_boolean(&self) -> Option<bool> {
        if let Value::Boolean(boolean) = self { Some(*boolean) } else { None }
    }

    pub(super) fn from_json(json: &serde_json::Value) -> Result<Self, ValueError> {
        match json {
            serde_json::Value::Bool(boolean) => Ok(Value::Boolean(*boolean)),
            serde_json::Value::String(text) => Ok(Value::Text(text.clone())),
            serde_json::Value::Number(number) => Value::from_json_number(number),
            other => Err(ValueError::NotPlain(other.to_string())),
        }
    }

    fn from_json_number(number: &serde_json::Number) -> Result<Self, ValueError> {
        match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(integer), _, _) => Ok(Value::Integer(integer)),
            (None, Some(large), _) => Err(ValueError::TooLarge(large)),
            (None, None, Some(float)) => Value::try_from(float),
            (None, None, None) => Err(ValueError::NotPlain(number.to_string())),
        }
    }

    pub(super) fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Boolean(boolean) => (*boolean).into(),
            Value::Integer(integer) => (*integer).into(),
            Value::Float(float) => float.0.into(),
            Value::Text(text) => text.as_str().into(),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Value::Boolean(_) => 0,
            Value::Integer(_) | Value::Float(_) => 1,
            Value::Text(_) => 2,
        }
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Value::Boolean(left), Value::Boolean(right)) => left.cmp(right),
            (Value::Integer(left), Value::Integer(right)) => left.cmp(right),
            (Value::Float(left), Value::Float(right)) => left.cmp(right),
            (Value::Text(left), Value::Text(right)) => left.cmp(right),
            (Value::Integer(integer), Value::Float(float)) => integer_to_float(*integer, *float),
            (Value::Float(float), Value::Integer(integer)) => integer_to_float(*integer, *float).reverse(),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Compares a whole number with a float; they are never equal, by construction. Rounding an integer can only make it equal to 2⁶³, which is larger than all of them:
/// a float with a fraction is below 2⁵³, where nothing is rounded.
fn integer_to_float(integer: i64, float: Float) -> Ordering {
    (integer as f64).total_cmp(&float.0).then(Ordering::Less)
}

/// As a person would write it, and as it is put into commands: texts without quotes, numbers as short as they can be
/// without changing (`0.1`, `1e-7`).
impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Boolean(boolean) => boolean.fmt(formatter),
            Value::Integer(integer) => integer.fmt(formatter),
            Value::Float(float) => write!(formatter, "{:?}", float.0),
            Value::Text(text) => text.fmt(formatter),
        }
    }
}

impl TryFrom<f64> for Value {
    type Error = ValueError;

    fn try_from(number: f64) -> Result<Self, ValueError> {
        /// 2⁶³, the first float above the largest integer.
        const BEYOND: f64 = 9_223_372_036_854_775_808.0;
        if !number.is_finite() {
            return Err(ValueError::NotFinite(number));
        }
        let whole = number.fract() == 0.0 && (-BEYOND..BEYOND).contains(&number);
        Ok(if whole { Value::Integer(number as i64) } else { Value::Float(Float(number)) })
    }
}

impl TryFrom<u64> for Value {
    type Error = ValueError;

    fn try_from(number: u64) -> Result<Self, ValueError> {
        i64::try_from(number).map(Value::Integer).map_err(|_| ValueError::TooLarge(number))
    }
}

impl From<bool> for Value {
    fn from(boolean: bool) -> Self {
        Value::Boolean(boolean)
    }
}

impl From<i64> for Value {
    fn from(integer: i64) -> Self {
        Value::Integer(integer)
    }
}

impl From<i32> for Value {
    fn from(integer: i32) -> Self {
        Value::Integer(integer.into())
    }
}

impl From<u32> for Value {
    fn from(integer: u32) -> Self {
        Value::Integer(integer.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_are_one_value_whatever_their_type() {
        assert_eq!(Value::try_from(1.0), Ok(Value::from(1)));
        assert_eq!(Value::try_from(-0.0), Ok(Value::from(0)));
        assert_eq!(Value::try_from(1e16), Ok(Value::from(10_000_000_000_000_000_i64)));
        assert_eq!(Value::try_from(-9_223_372_036_854_775_808.0), Ok(Value::from(i64::MIN)));
        assert!(matches!(Value::try_from(9_223_372_036_854_775_808.0), Ok(Value::Float(_))));
        assert_ne!(Value::from("1"), Value::from(1));
        assert_ne!(Value::from("true"), Value::from(true));
    }

    #[test]
    fn values_are_ordered_by_size_across_their_types() {
        let ordered = [
            Value::from(false),
            Value::from(true),
            Value::try_from(-1e300).unwrap(),
            Value::from(i64::MIN),
            Value::try_from(-0.5).unwrap(),
            Value::from(0),
            Value::try_from(0.5).unwrap(),
            Value::from(1),
            Value::from(i64::MAX),
            Value::try_from(9_223_372_036_854_775_808.0).unwrap(),
            Value::from(""),
            Value::from("a"),
        ];
        for (left, pair) in ordered.iter().enumerate() {
            for (right, other) in ordered.iter().enumerate() {
                assert_eq!(pair.cmp(other), left.cmp(&right), "{pair:?} {other:?}");
            }
        }
    }

    #[test]
    fn what_would_not_survive_a_file_is_refused() {
        assert!(matches!(Value::try_from(f64::NAN), Err(ValueError::NotFinite(_))));
        assert!(matches!(Value::try_from(f64::INFINITY), Err(ValueError::NotFinite(_))));
        assert_eq!(Value::try_from(u64::MAX), Err(ValueError::TooLarge(u64::MAX)));
        for text in ["null", "[1]", "{}", "18446744073709551615"] {
            let json = serde_json::from_str(text).unwrap();
            assert!(Value::from_json(&json).is_err(), "{text}");
        }
    }
}
