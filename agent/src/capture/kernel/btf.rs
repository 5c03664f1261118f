//! A small reader of the kernel's own type information (BTF): offsets, enum values, argument counts.
//!
//! Format: `include/uapi/linux/btf.h`. The file is read once at start and dropped before capture begins.

use std::path::Path;

/// Why a type or member could not be resolved.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The kernel does not publish BTF, or it cannot be read.
    #[error("cannot read {path}: {source}; the kernel needs CONFIG_DEBUG_INFO_BTF")]
    Read {
        /// Where it was looked for.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not what the format says.
    #[error("the kernel's BTF is malformed at byte {0}")]
    Malformed(usize),
    /// A type is not there.
    #[error("the kernel's BTF has no {kind} `{name}`")]
    NoType {
        /// `struct`, `enum value`, `function`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A structure has none of these members.
    #[error("`struct {structure}` of this kernel has no member `{member}`")]
    NoMember {
        /// The structure.
        structure: String,
        /// The member, or the alternatives.
        member: String,
    },
}

const INT: u32 = 1;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
const DECL_TAG: u32 = 17;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;

/// The type information of the running kernel.
pub struct Btf {
    data: Vec<u8>,
    /// Byte offset of each type by id; id 0 is `void`.
    types: Vec<u32>,
    /// Kind of each type by id, apart, since a search looks at few kinds of many types.
    kinds: Vec<u8>,
    strings: usize,
}

#[derive(Clone, Copy)]
struct Type {
    name: u32,
    kind: u32,
    flag: bool,
    length: usize,
    /// Size or type id.
    operand: u32,
    /// Byte offset of what follows the header.
    rest: usize,
}

impl Btf {
    /// Reads the kernel's BTF from where it publishes it.
    pub fn of_kernel() -> Result<Self, BtfError> {
        Self::read(Path::new("/sys/kernel/btf/vmlinux"))
    }

    /// Reads a file in BTF format.
    pub fn read(path: &Path) -> Result<Self, BtfError> {
        let data = std::fs::read(path).map_err(|source| BtfError::Read { path: path.display().to_string(), source })?;
        Self::parse(data)
    }

    /// Indexes a file in BTF format, in host byte order.
    pub fn parse(data: Vec<u8>) -> Result<Self, BtfError> {
        let word = |at: usize| word(&data, at);
        if word(0)? & 0xffff != 0xeb9f {
            return Err(BtfError::Malformed(0));
        }
        let header = word(4)? as usize;
        let (types_offset, types_length) = (header + word(8)? as usize, word(12)? as usize);
        let strings = header + word(16)? as usize;
        let end = types_offset + types_length;
        let (mut types, mut kinds) = (vec![0], vec![0]);
        let mut at = types_offset;
        while at < end {
            types.push(at as u32);
            let info = word(at + 4)?;
            let (kind, length) = ((info >> 24) & 0x1f, (info & 0xffff) as usize);
            kinds.push(kind as u8);
            at += 12
                + match kind {
                    INT | VAR | DECL_TAG => 4,
                    ARRAY => 12,
                    STRUCT | UNION | DATASEC | ENUM64 => 12 * length,
                    ENUM | FUNC_PROTO => 8 * length,
                    _ => 0,
                };
        }
        if at != end {
            return Err(BtfError::Malformed(at));
        }
        Ok(Self { data, types, kinds, strings })
    }

    fn get(&self, id: u32) -> Result<Type, BtfError> {
        let at = *self.types.get(id as usize).ok_or(BtfError::Malformed(id as usize))? as usize;
        let info = word(&self.data, at + 4)?;
        Ok(Type {
            name: word(&self.data, at)?,
            kind: (info >> 24) & 0x1f,
            flag: info >> 31 != 0,
            length: (info & 0xffff) as usize,
            operand: word(&self.data, at + 8)?,
            rest: at + 12,
        })
    }

    fn is_named(&self, offset: u32, name: &str) -> bool {
        let start = self.strings + offset as usize;
        let end = start + name.len();
        self.data.get(start..end) == Some(name.as_bytes()) && self.data.get(end) == Some(&0)
    }

    /// The types of a kind.
    fn of_kind(&self, kind: u32) -> impl Iterator<Item = u32> {
        (0..).zip(&self.kinds).filter(move |(_, own)| u32::from(**own) == kind).map(|(id, _)| id)
    }

    fn find(&self, kind: u32, name: &str) -> Option<u32> {
        self.of_kind(kind).find(|id| self.get(*id).is_ok_and(|found| self.is_named(found.name, name)))
    }

    /// Follows typedefs and qualifiers.
    fn resolve(&self, mut id: u32) -> Result<(u32, Type), BtfError> {
        for _ in 0..32 {
            let found = self.get(id)?;
            if !matches!(found.kind, TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG) {
                return Ok((id, found));
            }
            id = found.operand;
        }
        Err(BtfError::Malformed(id as usize))
    }

    /// Bit offset and type of a member, looked for in anonymous members too.
    fn member(&self, structure: Type, name: &str, depth: u32) -> Result<Option<(u32, u32)>, BtfError> {
        for index in 0..structure.length {
            let at = structure.rest + 12 * index;
            let (member_name, member_type, raw) =
                (word(&self.data, at)?, word(&self.data, at + 4)?, word(&self.data, at + 8)?);
            let bits = if structure.flag { raw & 0x00ff_ffff } else { raw };
            if self.is_named(member_name, name) {
                return Ok(Some((bits, member_type)));
            }
            if self.is_named(member_name, "") && depth < 8 {
                let (_, inner) = self.resolve(member_type)?;
                if matches!(inner.kind, STRUCT | UNION)
                    && let Some((inner_bits, inner_type)) = self.member(inner, name, depth + 1)?
                {
                    let bits = bits.checked_add(inner_bits).ok_or(BtfError::Malformed(at))?;
                    return Ok(Some((bits, inner_type)));
                }
            }
        }
        Ok(None)
    }

    /// Byte offset of a member. `path` names it through nested members: `__sk_common.skc_num`.
    pub fn offset(&self, structure: &str, path: &str) -> Result<u32, BtfError> {
        let missing = || BtfError::NoMember { structure: structure.into(), member: path.into() };
        let id =
            self.find(STRUCT, structure).ok_or_else(|| BtfError::NoType { kind: "struct", name: structure.into() })?;
        let mut current = self.get(id)?;
        let mut bits = 0_u32;
        for part in path.split('.') {
            if !matches!(current.kind, STRUCT | UNION) {
                return Err(missing());
            }
            let (offset, member_type) = self.member(current, part, 0)?.ok_or_else(missing)?;
            bits = bits.checked_add(offset).ok_or(BtfError::Malformed(current.rest))?;
            (_, current) = self.resolve(member_type)?;
        }
        Ok(bits / 8)
    }

    /// Value of an enumerator, of whichever enum holds it.
    pub fn enumerator(&self, name: &str) -> Option<u32> {
        self.of_kind(ENUM).chain(self.of_kind(ENUM64)).find_map(|id| {
            let found = self.get(id).ok()?;
            let size = match found.kind {
                ENUM => 8,
                ENUM64 => 12,
                _ => return None,
            };
            (0..found.length).find_map(|index| {
                let at = found.rest + size * index;
                self.is_named(word(&self.data, at).ok()?, name).then(|| word(&self.data, at + 4).ok())?
            })
        })
    }

    /// Number of arguments of a function.
    pub fn arguments(&self, function: &str) -> Result<u32, BtfError> {
        let id =
            self.find(FUNC, function).ok_or_else(|| BtfError::NoType { kind: "function", name: function.into() })?;
        Ok(self.get(self.get(id)?.operand)?.length as u32)
    }

    /// Whether the kernel has this tracepoint (as `btf_trace_NAME`).
    pub fn has_tracepoint(&self, name: &str) -> bool {
        self.find(TYPEDEF, &format!("btf_trace_{name}")).is_some()
    }

    /// Whether the kernel has this function.
    pub fn has_function(&self, name: &str) -> bool {
        self.find(FUNC, name).is_some()
    }
}

fn word(data: &[u8], at: usize) -> Result<u32, BtfError> {
    data.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes).ok_or(BtfError::Malformed(at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Btf, BtfError};

    /// Writes BTF: types in the order of their ids, names as they come.
    struct Writer {
        types: Vec<u32>,
        strings: Vec<u8>,
    }

    impl Writer {
        fn name(&mut self, name: &str) -> u32 {
            if name.is_empty() {
                return 0;
            }
            let at = self.strings.len() as u32;
            self.strings.extend_from_slice(name.as_bytes());
            self.strings.push(0);
            at
        }

        fn add(&mut self, name: &str, kind: u32, length: u32, operand: u32, rest: &[u32]) {
            let name = self.name(name);
            self.types.extend([name, kind << 24 | length, operand]);
            self.types.extend_from_slice(rest);
        }

        fn finish(self) -> Vec<u8> {
            let types = 4 * self.types.len() as u32;
            let header = [0x0001_eb9f, 24, 0, types, types, self.strings.len() as u32];
            let words = header.iter().chain(&self.types).flat_map(|word| word.to_ne_bytes());
            words.chain(self.strings).collect()
        }
    }

    /// `struct sock { struct { int pad; volatile word num; }; }`, an enum, a function of two arguments and a tracepoint.
    fn sample() -> Vec<u8> {
        let mut writer = Writer { types: Vec::new(), strings: vec![0] };
        writer.add("int", super::INT, 0, 4, &[32]);
        writer.add("word", super::TYPEDEF, 0, 1, &[]);
        writer.add("", super::VOLATILE, 0, 2, &[]);
        let (pad, num) = (writer.name("pad"), writer.name("num"));
        writer.add("", super::STRUCT, 2, 8, &[pad, 1, 0, num, 3, 32]);
        let state = writer.name("state");
        writer.add("sock", super::STRUCT, 2, 16, &[state, 1, 0, 0, 4, 64]);
        let ubuf = writer.name("ITER_UBUF");
        writer.add("iter_type", super::ENUM, 1, 4, &[ubuf, 7]);
        writer.add("", super::FUNC_PROTO, 2, 0, &[0, 1, 0, 1]);
        writer.add("tcp_recvmsg", super::FUNC, 0, 7, &[]);
        writer.add("btf_trace_sys_enter", super::TYPEDEF, 0, 7, &[]);
        writer.finish()
    }

    /// Asks everything; only that it ends matters.
    fn ask(data: Vec<u8>) {
        let Ok(btf) = Btf::parse(data) else { return };
        let _ = btf.offset("sock", "num");
        let _ = btf.offset("sock", "state.num");
        let _ = btf.enumerator("ITER_UBUF");
        let _ = btf.arguments("tcp_recvmsg");
        let _ = (btf.has_function("x"), btf.has_tracepoint("sys_enter"));
    }

    #[test]
    fn members_values_and_functions_are_found() {
        let btf = Btf::parse(sample()).expect("well-formed");
        assert_eq!(btf.offset("sock", "num").expect("in an anonymous structure"), 12);
        assert_eq!(btf.offset("sock", "state").expect("a member"), 0);
        assert_eq!(btf.enumerator("ITER_UBUF"), Some(7));
        assert_eq!(btf.arguments("tcp_recvmsg").expect("a function"), 2);
        assert!(btf.has_function("tcp_recvmsg") && btf.has_tracepoint("sys_enter") && !btf.has_tracepoint("sys_exit"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let btf = Btf::parse(sample()).expect("well-formed");
        let error = btf.offset("sock", "sk_state").expect_err("no such member");
        assert_eq!(error.to_string(), "`struct sock` of this kernel has no member `sk_state`");
        let error = btf.offset("tcp_sock", "write_seq").expect_err("no such structure");
        assert_eq!(error.to_string(), "the kernel's BTF has no struct `tcp_sock`");
        assert!(matches!(btf.offset("sock", "state.deeper"), Err(BtfError::NoMember { .. })));
        assert!(btf.arguments("tcp_sendmsg").is_err());
    }

    #[test]
    fn a_truncated_file_is_malformed() {
        let whole = sample();
        for length in 0..whole.len() {
            ask(whole[..length].to_vec());
        }
        assert!(matches!(Btf::parse(whole[..60].to_vec()), Err(BtfError::Malformed(_))));
        assert!(matches!(Btf::parse(Vec::new()), Err(BtfError::Malformed(0))));
    }

    #[test]
    fn this_kernel_is_read() {
        // Not every machine has a kernel with BTF.
        if let Ok(btf) = Btf::of_kernel() {
            assert!(btf.has_function("tcp_recvmsg"));
            assert!(super::super::layout::resolve(&btf).is_ok());
        }
    }

    proptest! {
        #[test]
        fn damage_never_panics(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
            let mut data = sample();
            for (index, byte) in damage {
                let length = data.len();
                data[index.index(length)] = byte;
            }
            ask(data);
        }

        #[test]
        fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..400), with_header: bool) {
            let mut data = noise;
            if with_header {
                data.splice(0..0, sample().into_iter().take(24));
            }
            ask(data);
        }
    }
}
