//! Objects and arrays that are passed over.

use super::text;

/// Whether the end of what is passed over has come.
pub(in crate::protocol::body) enum Skip {
    Inside,
    /// Behind so many bytes.
    Over(usize),
    /// The last of so many bytes is a bracket that closes what another kind of bracket opened.
    Bad(usize),
}

/// An object or array that is passed over: only brackets and quotes are looked at.
#[derive(Debug, Default)]
pub(in crate::protocol::body) struct Skipped {
    depth: u32,
    /// Which of the outermost 64 levels are arrays, as bits; the kinds of those inside are not told apart.
    arrays: u64,
    in_string: bool,
    escaped: bool,
}

/// The bytes that matter outside of strings.
const STRUCTURE: [bool; 256] = {
    let mut table = [false; 256];
    let marks = *b"\"{}[]";
    let mut at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
};

impl Skipped {
    /// Behind its opening bracket.
    pub(in crate::protocol::body) fn begin(&mut self, is_array: bool) {
        *self = Self { depth: 1, arrays: u64::from(is_array), ..Self::default() };
    }

    pub(in crate::protocol::body) fn push(&mut self, bytes: &[u8]) -> Skip {
        let mut at = 0;
        loop {
            if self.in_string {
                let Some(end) = text::end(&bytes[at..], &mut self.escaped) else { return Skip::Inside };
                self.in_string = false;
                at += end + 1;
            }
            let Some(length) = bytes[at..].iter().position(|byte| STRUCTURE[usize::from(*byte)]) else {
                return Skip::Inside;
            };
            at += length + 1;
            match bytes[at - 1] {
                b'"' => self.in_string = true,
                byte @ (b'{' | b'[') => self.open(byte == b'['),
                byte => match self.close(byte == b']') {
                    false => return Skip::Bad(at),
                    true if self.depth == 0 => return Skip::Over(at),
                    true => {}
                },
            }
        }
    }

    fn open(&mut self, is_array: bool) {
        if self.depth < u64::BITS {
            let level = 1 << self.depth;
            self.arrays = if is_array { self.arrays | level } else { self.arrays & !level };
        }
        self.depth = self.depth.saturating_add(1);
    }

    fn close(&mut self, is_array: bool) -> bool {
        self.depth -= 1;
        self.depth >= u64::BITS || (self.arrays >> self.depth & 1 == 1) == is_array
    }
}
