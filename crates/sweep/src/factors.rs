//! The cartesian product of factors, in which a level may open factors of its own.
//!
//! 1. The first factor varies slowest, the last fastest, like nested loops; levels come in the order they were given.
//! 2. Sub-factors of a level vary right behind it, before the next factor, and only there.
//! 3. A factor without levels is left out, as execo has it: it does not make the product empty. Sub-factors of none
//!    leave their level as it is. No factors at all give the one combination of nothing.
//! 4. A duplicate combination counts once, at its first place.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::combination::Combination;
use super::value::{Value, ValueError};

/// More would not fit into the memory of small machines, and would take years to run.
pub const MOST_COMBINATIONS: u64 = 10_000_000;

/// Factors and their levels.
///
/// ```
/// use phalanx_sweep::{Factors, Level};
///
/// let factors = Factors::new().factor("congestion", ["cubic", "bbr"]).factor(
///     "streams",
///     [
///         Level::from(1).with(Factors::new().factor("window", [64, 256]).factor("delay", [true, false])),
///         Level::from(2).with(Factors::new().factor("window", [64, 128])),
///     ],
/// );
/// assert_eq!(factors.combinations()?.len(), 2 * (2 * 2 + 2));
/// # Ok::<(), phalanx_sweep::factors::FactorsError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Factors {
    factors: Vec<(String, Vec<Level>)>,
}

/// A value of a factor, and the factors that exist only for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// Checked when the product is made, so that a list of levels needs no error handling.
    value: Result<Value, ValueError>,
    below: Factors,
}

/// Factors that cannot be multiplied.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FactorsError {
    /// A level that cannot be.
    #[error("factor `{factor}`: {error}")]
    Value {
        /// The factor.
        factor: String,
        /// What is wrong with the level.
        error: ValueError,
    },
    /// One combination would need two values of that name.
    #[error("factor `{0}` is there twice at the same time: give one of them another name")]
    Twice(String),
    /// A factor without a name, whose value could not be asked for.
    #[error("a factor has an empty name")]
    NoName,
    /// More than [`MOST_COMBINATIONS`].
    #[error("the sweep has more than {MOST_COMBINATIONS} combinations: use fewer levels, or several sweeps")]
    TooMany,
}

impl Factors {
    /// Makes an empty product.
    pub fn new() -> Self {
        Factors::default()
    }

    /// Adds a factor with these levels; it varies faster than those before it.
    #[must_use]
    pub fn factor<L: Into<Level>>(mut self, name: impl Into<String>, levels: impl IntoIterator<Item = L>) -> Self {
        self.factors.push((name.into(), levels.into_iter().map(Into::into).collect()));
        self
    }

    /// Returns the number of combinations; duplicates are counted each time.
    pub fn count(&self) -> u64 {
        let of_factor =
            |levels: &[Level]| levels.iter().fold(0_u64, |sum, level| sum.saturating_add(level.below.count()));
        let used = self.factors.iter().filter(|(_, levels)| !levels.is_empty());
        used.fold(1, |product, (_, levels)| product.saturating_mul(of_factor(levels)))
    }

    /// Returns every combination, in the order this module states.
    ///
    /// # Errors
    /// When a name is empty or there twice at the same time, a level is no possible value, or there are more than
    /// [`MOST_COMBINATIONS`].
    pub fn combinations(&self) -> Result<Vec<Combination>, FactorsError> {
        self.names()?;
        if self.count() > MOST_COMBINATIONS {
            return Err(FactorsError::TooMany);
        }
        let mut seen = HashSet::new();
        let all = self.product()?.into_iter().map(Combination::new);
        Ok(all.filter(|combination| seen.insert(combination.clone())).collect())
    }

    /// Returns all names that one combination can have, with those of sub-factors.
    fn names(&self) -> Result<BTreeSet<&str>, FactorsError> {
        let mut all = BTreeSet::new();
        for (name, levels) in &self.factors {
            if name.is_empty() {
                return Err(FactorsError::NoName);
            }
            // Levels exclude each other, so two of them may use the same names.
            let mut names = BTreeSet::new();
            for level in levels {
                names.extend(level.below.names()?);
            }
            if names.contains(name.as_str()) {
                return Err(FactorsError::Twice(name.clone()));
            }
            names.insert(name);
            if let Some(twice) = names.iter().find(|name| all.contains(*name)) {
                return Err(FactorsError::Twice((*twice).to_owned()));
            }
            all.extend(names);
        }
        Ok(all)
    }

    fn product(&self) -> Result<Vec<BTreeMap<String, Value>>, FactorsError> {
        let mut product = vec![BTreeMap::new()];
        for (name, levels) in self.factors.iter().filter(|(_, levels)| !levels.is_empty()) {
            let mut choices = Vec::new();
            for level in levels {
                choices.extend(level.choices(name)?);
            }
            let extended = |choice: &BTreeMap<_, _>, so_far: &BTreeMap<String, Value>| {
                let mut values = so_far.clone();
                values.extend(choice.clone());
                values
            };
            product = product.iter().flat_map(|so_far| choices.iter().map(|choice| extended(choice, so_far))).collect();
        }
        Ok(product)
    }
}

impl Level {
    /// Adds factors that exist only for this level.
    #[must_use]
    pub fn with(self, below: Factors) -> Self {
        Level { below, ..self }
    }

    /// Returns the level of the factor called `name`, with every combination of what is below it.
    fn choices(&self, name: &str) -> Result<Vec<BTreeMap<String, Value>>, FactorsError> {
        let error = |error: &ValueError| FactorsError::Value { factor: name.to_owned(), error: error.clone() };
        let value = self.value.as_ref().map_err(error)?;
        let mut choices = self.below.product()?;
        for choice in &mut choices {
            choice.insert(name.to_owned(), value.clone());
        }
        Ok(choices)
    }
}

impl From<Result<Value, ValueError>> for Level {
    fn from(value: Result<Value, ValueError>) -> Self {
        Level { value, below: Factors::new() }
    }
}

impl From<Value> for Level {
    fn from(value: Value) -> Self {
        Ok(value).into()
    }
}

impl From<bool> for Level {
    fn from(boolean: bool) -> Self {
        Value::from(boolean).into()
    }
}

impl From<i32> for Level {
    fn from(integer: i32) -> Self {
        Value::from(integer).into()
    }
}

impl From<u32> for Level {
    fn from(integer: u32) -> Self {
        Value::from(integer).into()
    }
}

impl From<i64> for Level {
    fn from(integer: i64) -> Self {
        Value::from(integer).into()
    }
}

impl From<u64> for Level {
    fn from(integer: u64) -> Self {
        Value::try_from(integer).into()
    }
}

impl From<usize> for Level {
    fn from(integer: usize) -> Self {
        Value::try_from(integer as u64).into()
    }
}

impl From<f64> for Level {
    fn from(number: f64) -> Self {
        Value::try_from(number).into()
    }
}

impl From<&str> for Level {
    fn from(text: &str) -> Self {
        Value::from(text).into()
    }
}

impl From<String> for Level {
    fn from(text: String) -> Self {
        Value::from(text).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slugs(factors: &Factors) -> Vec<String> {
        factors.combinations().unwrap().iter().map(Combination::slug).collect()
    }

    #[test]
    fn w1_two_times_two_is_four_in_the_order_of_nested_loops() {
        let factors = Factors::new().factor("b", [1, 2]).factor("a", ["x", "y"]);
        assert_eq!(slugs(&factors), ["a=x,b=1", "a=y,b=1", "a=x,b=2", "a=y,b=2"]);
    }

    #[test]
    fn w1_sub_factors_exist_for_their_level_only() {
        let one = Level::from(1).with(Factors::new().factor("c", ["p", "q"]).factor("d", [true, false]));
        let two = Level::from(2).with(Factors::new().factor("e", [0.5, 1.5]));
        let factors = Factors::new().factor("a", ["x", "y"]).factor("b", [one, two]);
        let expected = [
            "a=x,b=1,c=p,d=true",
            "a=x,b=1,c=p,d=false",
            "a=x,b=1,c=q,d=true",
            "a=x,b=1,c=q,d=false",
            "a=x,b=2,e=0.5",
            "a=x,b=2,e=1.5",
        ];
        let expected = expected.map(str::to_owned);
        let second = expected.iter().map(|slug| slug.replace("a=x", "a=y"));
        assert_eq!(slugs(&factors), expected.iter().cloned().chain(second).collect::<Vec<_>>());
        assert_eq!(factors.count(), 12);
    }

    #[test]
    fn empty_factors_are_left_out() {
        let none: [i32; 0] = [];
        assert_eq!(slugs(&Factors::new()), ["%"]);
        assert_eq!(slugs(&Factors::new().factor("a", none)), ["%"]);
        assert_eq!(slugs(&Factors::new().factor("a", [1, 2]).factor("b", none)), ["a=1", "a=2"]);
        let below = Factors::new().factor("b", none);
        assert_eq!(slugs(&Factors::new().factor("a", [Level::from(1).with(below), 2.into()])), ["a=1", "a=2"]);
    }

    #[test]
    fn duplicates_count_once() {
        assert_eq!(slugs(&Factors::new().factor("a", [2.0, 1.0, 2.0])), ["a=2", "a=1"]);
        let same = |level: i32| Level::from(1).with(Factors::new().factor("b", [level]));
        assert_eq!(slugs(&Factors::new().factor("a", [same(1), same(2), same(1)])), ["a=1,b=1", "a=1,b=2"]);
    }

    #[test]
    fn mistakes_are_named() {
        let below = |name: &str| Level::from(1).with(Factors::new().factor(name, [1]));
        let twice = |name: &str| Err(FactorsError::Twice(name.into()));
        assert_eq!(Factors::new().factor("a", [1]).factor("a", [2]).combinations(), twice("a"));
        assert_eq!(Factors::new().factor("a", [below("a")]).combinations(), twice("a"));
        assert_eq!(Factors::new().factor("a", [below("x")]).factor("b", [below("x")]).combinations(), twice("x"));
        assert!(Factors::new().factor("a", [below("x"), below("x")]).combinations().is_ok());
        assert_eq!(Factors::new().factor("", [1]).combinations(), Err(FactorsError::NoName));
        let error = Factors::new().factor("loss", [f64::NAN]).combinations().unwrap_err();
        assert_eq!(
            error.to_string(),
            "factor `loss`: NaN cannot be a value in a sweep: use a finite number, or a text"
        );
        let many = (0..40).fold(Factors::new(), |factors, index| factors.factor(format!("f{index}"), 0..1000));
        assert_eq!(many.combinations(), Err(FactorsError::TooMany));
    }
}
