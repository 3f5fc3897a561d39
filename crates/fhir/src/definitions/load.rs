//! Reading the committed text into the flat tables. The format is described at the head of the file itself.

use super::by_length;
use super::{
    CodeSet, CodeSetId, Element, Group, GroupId, GroupKind, Kind, Member, Primitive, Special, Tables, Targets,
};
use std::borrow::Cow;
use std::collections::HashMap;
use tacet_types::ResourceType;

/// Why the text cannot be read: the line and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("line `{line}`: {reason}")]
pub(super) struct LoadError {
    line: String,
    reason: &'static str,
}

fn fault(line: &str, reason: &'static str) -> LoadError {
    LoadError { line: line.to_owned(), reason }
}

/// A group as it stands in the text: references are still names.
struct Draft {
    head: &'static str,
    path: &'static str,
    kind: GroupKind,
    base: &'static str,
    lines: Vec<&'static str>,
}

/// Reads the whole text.
pub(super) fn read(text: &'static str) -> Result<Tables, LoadError> {
    let mut code_sets: Vec<CodeSet> = Vec::new();
    let mut drafts: Vec<Draft> = Vec::new();
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("#" | "primitive", _)) => {}
            Some(("codes", rest)) => read_codes(line, rest, &mut code_sets)?,
            Some(("group", rest)) => drafts.push(read_head(line, rest)?),
            Some(("", element)) => {
                drafts.last_mut().ok_or_else(|| fault(line, "an element before any group"))?.lines.push(element);
            }
            _ if line == "#" => {}
            _ => return Err(fault(line, "unknown kind of line")),
        }
    }
    for set in &mut code_sets {
        set.codes.sort_by(|left, right| by_length(left.0, right.0).then_with(|| left.1.cmp(right.1)));
    }
    let mut by_path = HashMap::with_capacity(drafts.len());
    for (index, draft) in drafts.iter().enumerate() {
        let index = u16::try_from(index).map_err(|_| fault(draft.head, "too many groups"))?;
        if by_path.insert(draft.path, GroupId(index)).is_some() {
            return Err(fault(draft.head, "a group defined twice"));
        }
    }
    let code_set_ids: HashMap<&str, CodeSetId> =
        code_sets.iter().zip(0..).map(|(set, index)| (set.name, CodeSetId(index))).collect();
    let reader = Reader { drafts: &drafts, by_path: &by_path, code_sets: &code_set_ids };
    let groups = drafts.iter().map(|draft| reader.group(draft)).collect::<Result<Vec<_>, _>>()?;
    let mut by_resource_type = vec![None; usize::from(u8::MAX) + 1];
    for resource_type in ResourceType::all() {
        if let Some(slot) = by_resource_type.get_mut(usize::from(resource_type.code())) {
            *slot = by_path.get(resource_type.as_str()).copied();
        }
    }
    let element = by_path.get("Element").copied().ok_or_else(|| fault("", "no group Element"))?;
    Ok(Tables { groups, by_path, by_resource_type, code_sets, element })
}

/// `codes SET<tab>SYSTEM<tab>CODE...`; the lines of one set follow each other.
fn read_codes(line: &'static str, rest: &'static str, code_sets: &mut Vec<CodeSet>) -> Result<(), LoadError> {
    let mut fields = rest.split('\t');
    let (Some(name), Some(system)) = (fields.next(), fields.next()) else {
        return Err(fault(line, "a set of codes without a name and a system"));
    };
    if code_sets.last().is_none_or(|set| set.name != name) {
        code_sets.push(CodeSet { name, codes: Vec::new() });
    }
    if let Some(set) = code_sets.last_mut() {
        set.codes.extend(fields.map(|code| (code, system)));
    }
    Ok(())
}

/// `group PATH KIND BASE`
fn read_head(line: &'static str, rest: &'static str) -> Result<Draft, LoadError> {
    let mut words = rest.split(' ');
    let (Some(path), Some(kind), Some(base)) = (words.next(), words.next(), words.next()) else {
        return Err(fault(line, "a group without path, kind and base"));
    };
    let kind = match kind {
        "resource" => GroupKind::Resource,
        "datatype" => GroupKind::Datatype,
        "part" => GroupKind::Part,
        "abstract" => GroupKind::Abstract,
        _ => return Err(fault(line, "unknown kind of group")),
    };
    Ok(Draft { head: line, path, kind, base, lines: Vec::new() })
}

struct Reader<'d> {
    drafts: &'d [Draft],
    by_path: &'d HashMap<&'static str, GroupId>,
    code_sets: &'d HashMap<&'static str, CodeSetId>,
}

impl Reader<'_> {
    fn group(&self, draft: &Draft) -> Result<Group, LoadError> {
        let special = match draft.path {
            "Extension" => Some(Special::Extension),
            "Reference" => Some(Special::Reference),
            "CodeableConcept" => Some(Special::CodeableConcept),
            _ => None,
        };
        let mut group = Group {
            path: draft.path,
            kind: draft.kind,
            special,
            elements: Vec::new(),
            members: Vec::new(),
            slots: Vec::new(),
            required: 0,
        };
        self.add_lines(draft, &mut group, 0)?;
        let mut bits = 0..64_u8;
        for element in &mut group.elements {
            if element.required || element.choice {
                let bit = bits.next().ok_or_else(|| fault(draft.head, "more than 64 elements to watch"))?;
                element.bit = Some(bit);
                group.required |= u64::from(element.required) << bit;
            }
        }
        group.index();
        if group
            .members
            .iter()
            .any(|member| group.member(&member.name).is_none_or(|found| !std::ptr::eq(found, member)))
        {
            return Err(fault(draft.head, "a member defined twice"));
        }
        Ok(group)
    }

    /// The elements of the base first, then the group's own. `level` bounds a circle of bases.
    fn add_lines(&self, draft: &Draft, group: &mut Group, level: u8) -> Result<(), LoadError> {
        if draft.base != "-" {
            let base = self.by_path.get(draft.base).and_then(|id| self.drafts.get(usize::from(id.0)));
            match base {
                Some(base) if level < 8 => self.add_lines(base, group, level + 1)?,
                _ => return Err(fault(draft.head, "the base is unknown or a circle")),
            }
        }
        draft.lines.iter().try_for_each(|line| self.add_element(line, group))
    }

    /// `NAME MIN MAX TYPE... [!SET]`
    fn add_element(&self, line: &'static str, group: &mut Group) -> Result<(), LoadError> {
        let mut words = line.split(' ');
        let (Some(name), Some(min), Some(max)) = (words.next(), words.next(), words.next()) else {
            return Err(fault(line, "an element without name, minimum and maximum"));
        };
        let required = match min {
            "0" => false,
            "1" => true,
            _ => return Err(fault(line, "a minimum other than 0 and 1")),
        };
        let many = match max {
            "1" => false,
            "*" => true,
            _ => return Err(fault(line, "a maximum other than 1 and *")),
        };
        let index = u16::try_from(group.elements.len()).map_err(|_| fault(line, "too many elements"))?;
        let (name, choice) = name.strip_suffix("[x]").map_or((name, false), |name| (name, true));
        let mut codes = None;
        for word in words {
            if let Some(set) = word.strip_prefix('!') {
                codes = Some(self.code_sets.get(set).copied().ok_or_else(|| fault(line, "unknown set of codes"))?);
            } else {
                group.members.push(self.member(line, name, choice, word, index)?);
            }
        }
        group.elements.push(Element { name, choice, required, many, codes, bit: None });
        Ok(())
    }

    fn member(
        &self,
        line: &'static str,
        element: &'static str,
        choice: bool,
        word: &'static str,
        index: u16,
    ) -> Result<Member, LoadError> {
        let mut targets = None;
        let (kind_name, extensible) = word.strip_prefix('=').map_or((word, true), |word| (word, false));
        let kind_name = match kind_name.strip_suffix(')').and_then(|word| word.split_once('(')) {
            Some((name, list)) => {
                let mut set = Targets::default();
                for target in list.split('|') {
                    set.insert(ResourceType::parse(target).ok_or_else(|| fault(line, "unknown reference target"))?);
                }
                targets = Some(set);
                name
            }
            None => kind_name,
        };
        let kind = match (kind_name, Primitive::parse(kind_name)) {
            (_, Some(primitive)) => Kind::Primitive(primitive),
            ("Resource", None) => Kind::Resource,
            (name, None) => {
                let path = name.strip_prefix('>').unwrap_or(name);
                Kind::Group(self.by_path.get(path).copied().ok_or_else(|| fault(line, "unknown type"))?)
            }
        };
        let name = if choice {
            let mut letters = kind_name.chars();
            let mut name = element.to_owned();
            name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            name.push_str(letters.as_str());
            Cow::Owned(name)
        } else {
            Cow::Borrowed(element)
        };
        let extensible = extensible && matches!(kind, Kind::Primitive(_));
        Ok(Member { name, element: index, kind, extensible, targets })
    }
}
