//! What must hold for any bytes at all that taktuk may say, shared by the fuzz target and by the tests of
//! `phalanx-action`.

use phalanx_action::taktuk::said::{Said, Splitter};

/// Bytes read as what taktuk says: no panic, every line is told once, and where chunks are cut does not matter.
pub(crate) fn any_bytes(bytes: &[u8]) {
    let lines = bytes.split(|byte| *byte == b'\n').count() - 1;
    for chunk in [1, 7, bytes.len().max(1)] {
        let (mut splitter, mut told) = (Splitter::default(), Vec::new());
        bytes.chunks(chunk).for_each(|chunk| splitter.push(chunk, |said| told.push(format!("{said:?}"))));
        let expected = bytes.split(|byte| *byte == b'\n').take(lines).map(|line| format!("{:?}", Said::parse(line)));
        assert_eq!(told, expected.collect::<Vec<_>>());
    }
}
