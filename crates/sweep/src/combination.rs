//! One experiment of a sweep: a value for each of some factors.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::slug::slug;
use super::value::{Value, ValueError};

/// A value for each of some factors. Cheap to clone.
///
/// Values are in the order of the factors' names. In which order the factors were declared plays no part in what a
/// combination is, so a program whose lines were rearranged still finds what it has done before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Combination {
    values: Arc<BTreeMap<String, Value>>,
}

impl Combination {
    /// The combination of these; of two values with one name, the later.
    pub fn new<N: Into<String>, V: Into<Value>>(values: impl IntoIterator<Item = (N, V)>) -> Self {
        let values = values.into_iter().map(|(name, value)| (name.into(), value.into()));
        Combination { values: Arc::new(values.collect()) }
    }

    /// The value of the factor called `name`, if this has one: sub-factors are there only under their own level.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// All values, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// A name for directories and files, such as `congestion=cubic,rtt=10`. Different combinations have different
    /// ones, at most 200 bytes long, without spaces, slashes and whatever else is special to a shell, and the same in
    /// every version of Phalanx. (Not on a file system that does not tell `a` from `A`.)
    ///
    /// 1. Letters of any script, digits and `_.-+` stand for themselves; anything else is percent-encoded as in URLs.
    /// 2. So is the first character of a text that reads like a number or a boolean: `1` is a number, `%31` a text.
    /// 3. A name that would be longer ends in `~` and a hash of the whole.
    pub fn slug(&self) -> String {
        slug(self.iter())
    }

    /// This as a JSON object in one line, names in order: what the journal of a queue holds.
    pub fn to_json(&self) -> String {
        self.to_json_value().to_string()
    }

    pub(super) fn to_json_value(&self) -> serde_json::Value {
        self.iter().map(|(name, value)| (name, value.to_json())).collect()
    }

    pub(super) fn from_json_value(json: &serde_json::Value) -> Result<Self, ValueError> {
        let object = json.as_object().ok_or_else(|| ValueError::NotPlain(json.to_string()))?;
        let values = object.iter().map(|(name, value)| Ok((name.clone(), Value::from_json(value)?)));
        Ok(Combination { values: Arc::new(values.collect::<Result<_, ValueError>>()?) })
    }
}

/// As JSON, which tells a text from a number.
impl fmt::Display for Combination {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_json())
    }
}

/// How often each level of each factor occurs: what execo calls `sweep_stats`.
///
/// ```
/// use phalanx_sweep::{Factors, Value, count_levels};
///
/// let combinations = Factors::new().factor("a", [1, 2]).factor("b", ["x", "y", "z"]).combinations()?;
/// assert_eq!(count_levels(&combinations)["a"][&Value::from(1)], 3);
/// # Ok::<(), phalanx_sweep::factors::FactorsError>(())
/// ```
pub fn count_levels<'a>(
    combinations: impl IntoIterator<Item = &'a Combination>,
) -> BTreeMap<&'a str, BTreeMap<&'a Value, usize>> {
    let mut counts: BTreeMap<_, BTreeMap<_, usize>> = BTreeMap::new();
    for (name, value) in combinations.into_iter().flat_map(Combination::iter) {
        *counts.entry(name).or_default().entry(value).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_names_in_order_and_types_apart() {
        let combination = Combination::new([("b", Value::from("1")), ("a", Value::from(1)), ("c", Value::from(true))]);
        assert_eq!(combination.to_json(), r#"{"a":1,"b":"1","c":true}"#);
        let json = serde_json::from_str(r#"{"c":true,"b":"1","a":1.0}"#).unwrap();
        assert_eq!(Combination::from_json_value(&json), Ok(combination));
    }

    #[test]
    fn what_is_no_combination_is_refused() {
        for text in ["1", "[]", r#"{"a":null}"#, r#"{"a":{"b":1}}"#] {
            assert!(Combination::from_json_value(&serde_json::from_str(text).unwrap()).is_err(), "{text}");
        }
    }
}
