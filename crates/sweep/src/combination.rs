//! One experiment of a sweep: a value for each of some factors.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::slug::slug;
use super::value::{Value, ValueError};

/// A value for each of some factors. Cheap to clone.
///
/// Values are in the order of the factors' names. The order in which factors were declared does not
/// matter, so a program whose lines were rearranged still finds what it did before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Combination {
    values: Arc<BTreeMap<String, Value>>,
}

impl Combination {
    /// Makes a combination of these values; of two with the same name, the later one counts.
    pub fn new<N: Into<String>, V: Into<Value>>(values: impl IntoIterator<Item = (N, V)>) -> Self {
        let values = values.into_iter().map(|(name, value)| (name.into(), value.into()));
        Combination { values: Arc::new(values.collect()) }
    }

    /// Returns the value of the factor called `name`, if it has one: sub-factors exist only under their own
    /// level.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// Returns all values, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Returns a name for directories and files, such as `congestion=cubic,rtt=10`. Different combinations have
    /// different names, which are at most 200 bytes long, contain no character that is special to a shell, and are the
    /// same in every version of Phalanx. (On a file system that ignores case, two may coincide.)
    ///
    /// 1. Letters of any script, digits and `_.-+` stand for themselves; anything else is percent-encoded as in URLs.
    /// 2. So is the first character of a text that reads like a number or a boolean: `1` is a number, `%31` a text.
    /// 3. A name that would be longer ends in `~` and a hash of the whole.
    pub fn slug(&self) -> String {
        slug(self.iter())
    }

    /// Returns it as a JSON object on one line, names in order, as the journal of a queue stores it.
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

/// Returns how often each level of each factor occurs: what execo calls `sweep_stats`.
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
    fn json_that_is_not_a_combination_is_refused() {
        for text in ["1", "[]", r#"{"a":null}"#, r#"{"a":{"b":1}}"#] {
            assert!(Combination::from_json_value(&serde_json::from_str(text).unwrap()).is_err(), "{text}");
        }
    }
}
