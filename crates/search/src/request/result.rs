//! Parameters that say what is answered and how, and not what matches (<https://hl7.org/fhir/R4/search.html#return>).

use super::condition::Compiler;
use super::escape::split;
use super::fault::{Fault, Outcome, named};
use super::key::resource_type;
use super::{Contained, Include, SearchRequest, SortBy, SortKey, Summary, Total};
use tacet_fhir::search::ParameterType;
use tacet_types::ResourceType;

/// Longest name in `_elements`, in bytes.
const ELEMENT_BYTES_MAX: usize = 64;

impl Compiler<'_> {
    /// Takes the parameter into the request if it is one of these.
    pub(super) fn result(&mut self, name: &str, raw: &str, request: &mut SearchRequest) -> Outcome<bool> {
        let (plain, modifier) = match name.split_once(':') {
            Some((plain, modifier)) => (plain, Some(modifier)),
            None => (name, None),
        };
        let known = [
            "_sort",
            "_count",
            "_total",
            "_summary",
            "_elements",
            "_include",
            "_revinclude",
            "_contained",
            "_containedType",
        ];
        if !known.contains(&plain) {
            return Ok(false);
        }
        let iterate = match modifier {
            None => false,
            Some("iterate" | "recurse") if plain.ends_with("include") => true,
            Some(modifier) => return Err(Fault::unknown_modifier(plain, modifier)),
        };
        match plain {
            "_sort" => {
                let keys = split(raw, ',').into_iter().map(|key| self.sort_key(key, &request.types));
                let keys = keys.collect::<Outcome<Vec<_>>>()?;
                request.sort.extend(keys);
                if request.sort.len() > self.limits.sort_keys_max {
                    return Err(Fault::too_many("keys of _sort", self.limits.sort_keys_max));
                }
            }
            "_count" => {
                let digits = !raw.is_empty() && raw.len() <= 9 && raw.bytes().all(|byte| byte.is_ascii_digit());
                let count = raw.parse().ok().filter(|_| digits);
                request.count = Some(count.ok_or_else(|| Fault::invalid(plain, "a number of matches"))?);
            }
            "_total" => {
                request.total = match raw {
                    "none" => Total::None,
                    "estimate" => Total::Estimate,
                    "accurate" => Total::Accurate,
                    _ => return Err(Fault::invalid(plain, "none, estimate or accurate")),
                }
            }
            "_summary" => {
                request.summary = match raw {
                    "true" => Summary::True,
                    "text" => Summary::Text,
                    "data" => Summary::Data,
                    "count" => Summary::Count,
                    "false" => Summary::False,
                    _ => return Err(Fault::invalid(plain, "true, text, data, count or false")),
                }
            }
            "_elements" => {
                for element in split(raw, ',') {
                    let fits =
                        element.len() <= ELEMENT_BYTES_MAX && element.bytes().all(|byte| byte.is_ascii_alphanumeric());
                    if element.is_empty() || !fits {
                        return Err(Fault::invalid(
                            plain,
                            "names of elements of the resource, with commas between them",
                        ));
                    }
                    if !request.elements.iter().any(|known| known == element) {
                        request.elements.push(element.to_owned());
                    }
                }
                if request.elements.len() > self.limits.elements_max {
                    return Err(Fault::too_many("names in _elements", self.limits.elements_max));
                }
            }
            "_include" | "_revinclude" => {
                let includes = split(raw, ',').into_iter().map(|raw| self.include(plain, raw, iterate));
                for include in includes.collect::<Outcome<Vec<_>>>()? {
                    if !request.includes.contains(&include) {
                        request.includes.push(include);
                    }
                }
                if request.includes.len() > self.limits.includes_max {
                    return Err(Fault::too_many("_include and _revinclude", self.limits.includes_max));
                }
            }
            "_contained" => {
                request.contained = match raw {
                    "false" => Contained::False,
                    "true" => Contained::True,
                    "both" => Contained::Both,
                    _ => return Err(Fault::invalid(plain, "false, true or both")),
                }
            }
            // What is shown of contained resources that match.
            _ => match raw {
                "container" => {}
                "contained" => {
                    return Err(Fault::unsupported(
                        "contained resources are shown in what holds them: leave _containedType out, or give it container"
                            .to_owned(),
                    ));
                }
                _ => return Err(Fault::invalid(plain, "container")),
            },
        }
        Ok(true)
    }

    fn sort_key(&self, raw: &str, types: &[ResourceType]) -> Outcome<SortKey> {
        let (code, descending) = match raw.strip_prefix('-') {
            Some(code) => (code, true),
            None => (raw, false),
        };
        let parameter = match code {
            "" => return Err(Fault::invalid("_sort", "names of search parameters, with commas between them")),
            "_id" => SortBy::Id,
            "_lastUpdated" => SortBy::LastUpdated,
            "_score" => {
                return Err(Fault::unsupported(
                    "matches are not weighed against each other: leave _score out of _sort".to_owned(),
                ));
            }
            _ => {
                let mut ids = Vec::new();
                for resource_type in types {
                    let unknown =
                        || Fault::unknown(format!("_sort by {} is not known for what is searched", named(code)));
                    let id = self.parameters.find(*resource_type, code).ok_or_else(unknown)?;
                    if matches!(self.parameters.type_of(id), ParameterType::Composite | ParameterType::Special) {
                        return Err(Fault::unknown(format!("_sort by {} has no order", named(code))));
                    }
                    if !ids.contains(&id) {
                        ids.push(id);
                    }
                }
                SortBy::Parameter(ids)
            }
        };
        Ok(SortKey { parameter, descending })
    }

    /// `Type:parameter[:Target]`, `Type:*` or `*`.
    fn include(&self, name: &str, raw: &str, iterate: bool) -> Outcome<Include> {
        let reverse = name == "_revinclude";
        let wild = Include { reverse, source: None, parameter: None, target: None, iterate };
        if raw == "*" {
            return Ok(wild);
        }
        let mut parts = raw.splitn(3, ':');
        let (Some(source), Some(code)) = (parts.next(), parts.next()) else {
            return Err(Fault::invalid(name, "Type:parameter, Type:parameter:Target, Type:* or *"));
        };
        let source = resource_type(source)?;
        let target = parts.next().map(resource_type).transpose()?;
        let parameter = match code {
            "*" => None,
            code => {
                let id = self.parameters.find(source, code);
                let id = id.filter(|id| self.parameters.type_of(*id) == ParameterType::Reference);
                Some(id.ok_or_else(|| {
                    Fault::unknown(format!("{} of {name} is not a reference parameter of {source}", named(code)))
                })?)
            }
        };
        Ok(Include { source: Some(source), parameter, target, ..wild })
    }
}
