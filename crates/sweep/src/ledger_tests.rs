//! The ledger against a model that is too simple to be wrong.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn combination(number: u8) -> Combination {
    Combination::new([("n", i32::from(number))])
}

/// Makes a process whose life cannot be judged: it is on another machine.
fn other() -> Owner {
    let json = serde_json::json!({ "host": "elsewhere", "boot": "b", "namespace": "n", "pid": 1, "start": 1 });
    Owner::from_json(&json).expect("it has a pid")
}

fn take(ledger: &mut Ledger, combination: &Combination, owner: &Owner) {
    let (combination, owner) = (combination.clone(), Some(owner.clone()));
    ledger.apply(Record::State { state: State::InProgress, combination, owner });
}

#[derive(Debug, Clone)]
enum ModelStep {
    Set(Vec<u8>),
    Next(bool),
    Move(Transition, u8),
    Reset(State),
}

fn steps() -> impl Strategy<Value = ModelStep> {
    let number = 0..6_u8;
    prop_oneof![
        proptest::collection::vec(number.clone(), 0..8).prop_map(ModelStep::Set),
        any::<bool>().prop_map(ModelStep::Next),
        (prop::sample::select(vec![Transition::Done, Transition::Skip, Transition::Cancel]), number)
            .prop_map(|(to, n)| ModelStep::Move(to, n)),
        prop::sample::select(State::ALL.to_vec()).prop_map(ModelStep::Reset),
    ]
}

/// The state of each number, whether another process has it, and the sweep.
#[derive(Default)]
struct Model {
    states: BTreeMap<u8, (State, bool)>,
    sweep: Vec<u8>,
}

impl Model {
    fn step(&mut self, step: &ModelStep) {
        match step {
            ModelStep::Set(sweep) => {
                self.sweep.clear();
                for number in sweep {
                    self.states.entry(*number).or_insert((State::Todo, false));
                    if !self.sweep.contains(number) {
                        self.sweep.push(*number);
                    }
                }
            }
            ModelStep::Next(own) => {
                if let Some(number) = self.sweep.iter().find(|number| self.states[number].0 == State::Todo) {
                    self.states.insert(*number, (State::InProgress, !own));
                }
            }
            ModelStep::Move(to, number) => {
                let Some((state, others)) = self.states.get_mut(number) else { return };
                match (to, *state) {
                    (Transition::Done, _) => *state = State::Done,
                    (Transition::Skip, State::Todo | State::InProgress) => *state = State::Skipped,
                    (Transition::Cancel, State::InProgress) if !*others => *state = State::Todo,
                    _ => {}
                }
            }
            ModelStep::Reset(from) => {
                for number in &self.sweep {
                    let place = self.states.get_mut(number).expect("the sweep is known");
                    if place.0 == *from {
                        *place = (State::Todo, false);
                    }
                }
            }
        }
    }
}

fn step(ledger: &mut Ledger, step: &ModelStep, own: &Owner) {
    let records = match step {
        ModelStep::Set(sweep) => ledger
            .set(sweep.iter().copied().map(combination).collect())
            .map(|(record, _, _)| record)
            .into_iter()
            .collect(),
        ModelStep::Next(is_own) => {
            let owner = if *is_own { own.clone() } else { other() };
            let state = |combination| Record::State { state: State::InProgress, combination, owner: Some(owner) };
            ledger.first(1).pop().map(state).into_iter().collect()
        }
        ModelStep::Move(to, number) => ledger.moved(*to, [&combination(*number)], own).unwrap_or_default(),
        ModelStep::Reset(state) => ledger.reset(*state),
    };
    for record in records {
        ledger.apply(record);
    }
}

proptest! {
    #[test]
    fn the_ledger_agrees_with_the_model(steps in proptest::collection::vec(steps(), 0..60)) {
        let own = Owner::this_process();
        let (mut ledger, mut model) = (Ledger::default(), Model::default());
        for one in &steps {
            step(&mut ledger, one, &own);
            model.step(one);
            for state in State::ALL {
                let there: Vec<_> = ledger.list(state).map(|(combination, _)| combination.clone()).collect();
                let expected = model.sweep.iter().filter(|number| model.states[number].0 == state);
                prop_assert_eq!(&there, &expected.map(|number| combination(*number)).collect::<Vec<_>>());
                prop_assert_eq!(ledger.count(state), there.len());
            }
            let todo: Vec<_> = ledger.list(State::Todo).map(|(combination, _)| combination.clone()).collect();
            prop_assert_eq!(&ledger.first(usize::MAX), &todo);
            prop_assert_eq!(ledger.choose(usize::MAX, |_| Some(())), todo);
        }
    }
}

#[test]
fn a_changed_sweep_keeps_what_was_done_and_says_what_changed() {
    let mut ledger = Ledger::default();
    ledger.apply(Record::Sweep([1, 2, 3].map(combination).to_vec()));
    ledger.apply(ledger.moved(Transition::Done, [&combination(2)], &other()).unwrap().remove(0));
    assert_eq!(ledger.set([1, 2, 3, 1].map(combination).to_vec()), None);
    let (record, added, removed) = ledger.set([4, 3].map(combination).to_vec()).unwrap();
    assert_eq!((added, removed), (1, 2));
    ledger.apply(record);
    assert_eq!(ledger.first(9), [4, 3].map(combination));
    ledger.apply(ledger.set([2, 4].map(combination).to_vec()).unwrap().0);
    assert_eq!((ledger.count(State::Done), ledger.first(9)), (1, vec![combination(4)]));
}

#[test]
fn the_smallest_key_is_next_and_what_has_none_is_not_wanted() {
    let mut ledger = Ledger::default();
    ledger.apply(Record::Sweep((0..10).map(combination).collect()));
    let odd_from_the_end = |combination: &Combination| {
        let number = combination.get("n").and_then(super::super::Value::as_integer)?;
        (number % 2 == 1).then_some(-number)
    };
    assert_eq!(ledger.choose(3, odd_from_the_end), [9, 7, 5].map(combination));
}

#[test]
fn only_its_owner_gives_back_what_is_in_progress() {
    let own = Owner::this_process();
    let mut ledger = Ledger::default();
    ledger.apply(Record::Sweep([1, 2].map(combination).to_vec()));
    take(&mut ledger, &combination(1), &other());
    take(&mut ledger, &combination(2), &own);
    let error = ledger.moved(Transition::Cancel, [&combination(2), &combination(1)], &own).unwrap_err();
    assert!(matches!(error, QueueError::TakenByOther { .. }), "{error}");
    assert_eq!(ledger.moved(Transition::Cancel, [&combination(2)], &own).unwrap().len(), 1);
    assert!(matches!(ledger.moved(Transition::Done, [&combination(9)], &own), Err(QueueError::Unknown { .. })));
    assert_eq!(ledger.free_dead(&own), []);
    assert_eq!(ledger.reset(State::InProgress).len(), 2);
}
