//! One line of a journal, between bytes and meaning. Pure; `docs/sweeps.md` describes the format for other programs.

use serde_json::{Map, Value as Json, json};

use super::combination::Combination;
use super::owner::Owner;

/// What is stated in the first line of a journal.
const FORMAT: &str = "phalanx-sweep";
/// The only version so far. It rises when a field changes its meaning; new fields do not change it.
const VERSION: u64 = 1;

/// The state of a combination.
///
/// ```text
///            next                done
///   Todo ────────────▶ InProgress ────▶ Done
///    ▲ ▲  cancel, reset,   │ skip
///    │ └───────────────────┤
///    │    death of owner   ▼
///    └──────────────── Skipped
///            reset
/// ```
/// `done` and `skip` are also possible from `Todo`, and `done` from `Skipped`. Nothing leaves `Done` but a reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum State {
    /// It is free.
    Todo,
    /// A process has taken it.
    InProgress,
    /// It need not be done again.
    Done,
    /// It was given up, and is not tried again until it is reset.
    Skipped,
}

impl State {
    /// All states, in the order of their discriminants.
    pub const ALL: [State; 4] = [State::Todo, State::InProgress, State::Done, State::Skipped];

    /// Returns its name in journals.
    pub fn name(self) -> &'static str {
        match self {
            State::Todo => "todo",
            State::InProgress => "in progress",
            State::Done => "done",
            State::Skipped => "skipped",
        }
    }
}

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Record {
    /// The first line.
    Format,
    /// The sweep is this from now on.
    Sweep(Vec<Combination>),
    /// The combination is in this state from now on.
    State { state: State, combination: Combination, owner: Option<Owner> },
}

impl Record {
    /// Returns the line, newline included. `time` is in seconds since 1970; it is for people.
    pub(super) fn encode(&self, time: f64) -> String {
        let json = match self {
            Record::Format => json!({ "format": FORMAT, "version": VERSION }),
            Record::Sweep(sweep) => {
                let sweep: Vec<_> = sweep.iter().map(Combination::to_json_value).collect();
                json!({ "sweep": sweep, "time": time })
            }
            Record::State { state, combination, owner } => {
                let mut json =
                    json!({ "state": state.name(), "combination": combination.to_json_value(), "time": time });
                if let Some(owner) = owner {
                    json["owner"] = owner.to_json();
                }
                json
            }
        };
        format!("{json}\n")
    }

    /// Returns the record on a line, or a sentence on what is wrong with it. Unknown fields are ignored.
    pub(super) fn decode(line: &[u8]) -> Result<Record, String> {
        let json: Json = serde_json::from_slice(line).map_err(|error| format!("it is not JSON: {error}"))?;
        let object = json.as_object().ok_or("it is not a JSON object")?;
        if object.contains_key("format") {
            return decode_format(object);
        }
        if let Some(sweep) = object.get("sweep") {
            let sweep = sweep.as_array().ok_or("its `sweep` is not a list")?;
            return sweep.iter().map(decode_combination).collect::<Result<_, _>>().map(Record::Sweep);
        }
        decode_state(object)
    }
}

fn decode_format(object: &Map<String, Json>) -> Result<Record, String> {
    match (object["format"].as_str(), object.get("version").and_then(Json::as_u64)) {
        (Some(FORMAT), Some(VERSION)) => Ok(Record::Format),
        (Some(FORMAT), Some(version)) if version > VERSION => Err(format!(
            "it was written by a newer Phalanx, in version {version} of the format; this one knows {VERSION}"
        )),
        _ => Err(format!("it is not the journal of a sweep, which begins with {}", Record::Format.encode(0.0).trim())),
    }
}

fn decode_state(object: &Map<String, Json>) -> Result<Record, String> {
    let name = object.get("state").and_then(Json::as_str).ok_or("it has no `state`, `sweep` or `format`")?;
    let state = State::ALL.into_iter().find(|state| state.name() == name);
    let state = state.ok_or_else(|| format!("there is no state `{name}`"))?;
    let combination = decode_combination(object.get("combination").ok_or("it has no `combination`")?)?;
    // An owner that cannot be understood is one that cannot be judged.
    let owner = object.get("owner").and_then(Owner::from_json);
    Ok(Record::State { state, combination, owner })
}

fn decode_combination(json: &Json) -> Result<Combination, String> {
    Combination::from_json_value(json).map_err(|error| format!("`{json}` is not a combination: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Value;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Value> {
        let float = any::<f64>().prop_filter_map("finite", |float| Value::try_from(float).ok());
        let texts = prop_oneof![any::<String>(), "[0-9.e-]{0,4}", Just("true".to_owned())].prop_map(Value::Text);
        prop_oneof![any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from), float, texts]
    }

    fn combinations() -> impl Strategy<Value = Combination> {
        proptest::collection::btree_map(any::<String>(), values(), 0..4).prop_map(Combination::new)
    }

    proptest! {
        #[test]
        fn every_record_is_read_as_it_was_written(
            sweep in proptest::collection::vec(combinations(), 0..4), combination in combinations(), state in 0..4_usize,
        ) {
            let state = Record::State { state: State::ALL[state], combination, owner: None };
            for record in [Record::Format, Record::Sweep(sweep), state] {
                let line = record.encode(1.5);
                prop_assert_eq!(line.matches('\n').count(), 1);
                prop_assert_eq!(Record::decode(line.as_bytes()), Ok(record));
            }
        }

        #[test]
        fn different_combinations_have_different_slugs_that_are_names_of_files(
            one in combinations(), other in combinations(),
        ) {
            prop_assert_eq!(one == other, one.slug() == other.slug());
            let slug = one.slug();
            prop_assert!(slug.len() <= 200 && !slug.contains(['/', '\0', ' ', '\n', '"', '\'']));
            prop_assert!(!slug.starts_with(['.', '-']) && !slug.is_empty());
        }

        #[test]
        fn decoding_arbitrary_bytes_never_panics(line in any::<Vec<u8>>()) {
            let _ = Record::decode(&line);
        }
    }

    #[test]
    fn mistakes_are_named() {
        let table = [
            ("", "it is not JSON"),
            ("[]", "it is not a JSON object"),
            ("{}", "it has no `state`"),
            (r#"{"format":"phalanx-sweep","version":2}"#, "newer Phalanx, in version 2"),
            (r#"{"format":"tar"}"#, "it is not the journal of a sweep"),
            (r#"{"state":"doing"}"#, "there is no state `doing`"),
            (r#"{"state":"done"}"#, "it has no `combination`"),
            (r#"{"state":"done","combination":{"a":[]}}"#, "is not a combination"),
            (r#"{"sweep":1}"#, "its `sweep` is not a list"),
        ];
        for (line, expected) in table {
            let error = Record::decode(line.as_bytes()).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }
}
