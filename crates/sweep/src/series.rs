//! Levels that grow by a constant factor: 1, 10, 100, 1000.

/// A series that cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("no geometric series leads from {first} to {last}: both must be finite, not zero, and of the same sign")]
pub struct SeriesError {
    /// The first number asked for.
    pub first: f64,
    /// The last number asked for.
    pub last: f64,
}

/// Returns `count` numbers from `first` to `last`, both exactly, each a constant multiple of the one before. With a
/// `count` of one, that is `first`.
///
/// ```
/// assert_eq!(phalanx_sweep::geometric(0.5, 8.0, 5)?, [0.5, 1.0, 2.0, 4.0, 8.0]);
/// # Ok::<(), phalanx_sweep::series::SeriesError>(())
/// ```
///
/// # Errors
/// When one end is zero or not finite, or their signs differ.
pub fn geometric(first: f64, last: f64, count: usize) -> Result<Vec<f64>, SeriesError> {
    let possible = [first, last].iter().all(|end| end.is_finite() && *end != 0.0);
    if !possible || first.is_sign_negative() != last.is_sign_negative() {
        return Err(SeriesError { first, last });
    }
    // Logarithms: last / first may be more than a float can hold.
    let (low, high) = (first.abs().ln(), last.abs().ln());
    let steps = count.saturating_sub(1).max(1) as f64;
    let between = |index: usize| (low + (high - low) * (index as f64 / steps)).exp().copysign(first);
    let number = |index: usize| match index {
        0 => first,
        index if index + 1 == count => last,
        index => tidied(between(index)),
    };
    Ok((0..count).map(number).collect())
}

/// Drops the last digits, which are rounding errors: 10, not 10.000000000000002.
fn tidied(number: f64) -> f64 {
    format!("{number:.13e}").parse().expect("a formatted number is one")
}

/// Returns a geometric series of whole numbers: rounded, without duplicates, so there may be fewer than `count`.
///
/// ```
/// assert_eq!(phalanx_sweep::geometric_integers(1, 1000, 4)?, [1, 10, 100, 1000]);
/// # Ok::<(), phalanx_sweep::series::SeriesError>(())
/// ```
///
/// # Errors
/// When one end is zero, or their signs differ.
pub fn geometric_integers(first: i64, last: i64, count: usize) -> Result<Vec<i64>, SeriesError> {
    let numbers = geometric(first as f64, last as f64, count)?;
    let mut integers: Vec<i64> = numbers.into_iter().map(|number| number.round() as i64).collect();
    // Exactly, where a float is not.
    if let Some(end) = integers.last_mut() {
        *end = last;
    }
    if let Some(begin) = integers.first_mut() {
        *begin = first;
    }
    integers.dedup();
    Ok(integers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_begin_and_end_exactly_where_they_were_told() {
        assert_eq!(geometric(3.0, 0.3, 2), Ok(vec![3.0, 0.3]));
        assert_eq!(geometric(1.0, 1e4, 5), Ok(vec![1.0, 10.0, 100.0, 1e3, 1e4]));
        assert_eq!(geometric(-8.0, -1.0, 4), Ok(vec![-8.0, -4.0, -2.0, -1.0]));
        assert_eq!(geometric(1e-300, 1e300, 3), Ok(vec![1e-300, 1.0, 1e300]));
        assert_eq!(geometric(7.0, 9.0, 1), Ok(vec![7.0]));
        assert_eq!(geometric(7.0, 9.0, 0), Ok(vec![]));
    }

    #[test]
    fn whole_numbers_come_once_each() {
        assert_eq!(geometric_integers(1, 4, 10), Ok(vec![1, 2, 3, 4]));
        assert_eq!(geometric_integers(1, i64::MAX, 2), Ok(vec![1, i64::MAX]));
        assert_eq!(geometric_integers(5, 5, 3), Ok(vec![5]));
        assert_eq!(geometric_integers(64, 1, 7), Ok(vec![64, 32, 16, 8, 4, 2, 1]));
    }

    #[test]
    fn no_series_crosses_zero() {
        for (first, last) in [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
            assert!(geometric(first, last, 3).is_err(), "{first} {last}");
        }
    }
}
