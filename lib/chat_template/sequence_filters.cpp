// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Filters on lists and whatever else can be gone through. Those that Python writes as generators
// give an Iterator here, whose items are made at once.
#include <algorithm>
#include <limits>

#include "lib/chat_template/filters.h"
#include "lib/chat_template/interpreter.h"
#include "lib/chat_template/operators.h"
#include "lib/chat_template/string_methods.h"
#include "lib/chat_template/unicode_text.h"

namespace qeff::jinja {
namespace {

Value Generator(std::vector<Value> items) {
  return Value::FromObject(std::make_shared<Iterator>("generator", std::move(items)));
}

bool IsSet(const std::optional<Value>& argument) {
  return argument.has_value() && argument->IsTrue();
}

/// How an item's key is found: the item itself, or 'a.b.0' inside of it; text without case.
struct KeyOptions {
  std::vector<Value> path;
  bool ignores_case = false;
  std::optional<Value> default_value;
};

std::vector<Value> PathOf(const Value& attribute) {
  if (!attribute.is_text()) return {attribute};
  std::vector<Value> path;
  const std::string& text = attribute.text();
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('.', begin), text.size());
    const std::string part = text.substr(begin, end - begin);
    const bool is_number =
        !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    const std::optional<Integer> index = is_number ? ParseInteger(part, 10) : std::nullopt;
    path.push_back(index.has_value() ? Value::FromInteger(*index) : Value::FromText(part));
    begin = end + 1;
  }
  return path;
}

KeyOptions MakeKey(const std::optional<Value>& attribute,
                   const std::optional<Value>& is_sensitive) {
  KeyOptions options{.ignores_case = !IsSet(is_sensitive)};
  if (attribute.has_value() && !attribute->is_none()) options.path = PathOf(*attribute);
  return options;
}

Result<Value> KeyOf(Interpreter& interpreter, const Value& item, const KeyOptions& options) {
  Value key = item;
  for (const Value& part : options.path) {
    QEFF_ASSIGN_OR_RETURN(key, interpreter.GetItem(key, part));
    if (key.is_undefined() && options.default_value.has_value() &&
        !options.default_value->is_none()) {
      key = *options.default_value;
    }
  }
  if (options.ignores_case && key.is_text()) key = Value::FromText(Lower(key.text()));
  return key;
}

struct KeyedItem {
  Value key;
  Value item;
};

Result<std::vector<KeyedItem>> KeyedItems(Interpreter& interpreter, const Value& value,
                                          const KeyOptions& options) {
  QEFF_ASSIGN_OR_RETURN(std::vector<Value> items, Items(value));
  std::vector<KeyedItem> keyed;
  if (!interpreter.budget().Work(items.size())) return keyed;
  for (Value& item : items) {
    QEFF_ASSIGN_OR_RETURN(Value key, KeyOf(interpreter, item, options));
    keyed.push_back({std::move(key), std::move(item)});
  }
  return keyed;
}

Result<Value> FilterLength(Interpreter&, const Value& v, const Arguments& a) {
  QEFF_RETURN_IF_ERROR(BindArguments("length", {}, 0, a).status());
  QEFF_ASSIGN_OR_RETURN(const size_t length, Length(v));
  return Value::FromInteger(static_cast<Integer>(length));
}

Result<Value> FilterList(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_RETURN_IF_ERROR(BindArguments("list", {}, 0, a).status());
  QEFF_ASSIGN_OR_RETURN(std::vector<Value> items, Items(v));
  i.budget().Reserve(items.size() * sizeof(Value));
  return Value::FromList(std::move(items));
}

Result<Value> FilterFirst(Interpreter&, const Value& v, const Arguments& a) {
  QEFF_RETURN_IF_ERROR(BindArguments("first", {}, 0, a).status());
  if (Iterator* iterator = v.As<Iterator>()) {
    return iterator->Next().value_or(Value::MakeUndefined("no first item, sequence was empty"));
  }
  QEFF_ASSIGN_OR_RETURN(const std::vector<Value> items, Items(v));
  if (items.empty()) return Value::MakeUndefined("no first item, sequence was empty");
  return items.front();
}

Result<Value> FilterLast(Interpreter&, const Value& v, const Arguments& a) {
  QEFF_RETURN_IF_ERROR(BindArguments("last", {}, 0, a).status());
  if (v.As<Iterator>() != nullptr) {
    return OperationError(fmt::format("'{}' object is not reversible", v.TypeName()));
  }
  QEFF_ASSIGN_OR_RETURN(const std::vector<Value> items, Items(v));
  if (items.empty()) return Value::MakeUndefined("no last item, sequence was empty");
  return items.back();
}

Result<Value> FilterReverse(Interpreter&, const Value& v, const Arguments& a) {
  QEFF_RETURN_IF_ERROR(BindArguments("reverse", {}, 0, a).status());
  if (!IsIterable(v)) return OperationError("argument must be iterable");
  QEFF_ASSIGN_OR_RETURN(std::vector<Value> items, Items(v));
  std::ranges::reverse(items);
  if (v.is_text()) {
    std::string text;
    for (const Value& item : items) text += item.text();
    return Value::FromText(std::move(text));
  }
  // Iterators cannot be gone through backwards, so Python makes a list of them.
  if (v.As<Iterator>() != nullptr || v.is_undefined()) return Value::FromList(std::move(items));
  return Value::FromObject(std::make_shared<Iterator>(
      v.is_list() ? "list_reverseiterator" : "reversed", std::move(items)));
}

Result<Value> FilterJoin(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("join", {"d", "attribute"}, 0, a));
  const std::string separator = bound[0].has_value() ? i.ToText(*bound[0]) : "";
  KeyOptions options;
  if (bound[1].has_value() && !bound[1]->is_none()) options.path = PathOf(*bound[1]);
  QEFF_ASSIGN_OR_RETURN(const std::vector<KeyedItem> items, KeyedItems(i, v, options));
  std::string out;
  for (size_t index = 0; index < items.size(); ++index) {
    const std::string text = i.ToText(items[index].key);
    if (!i.budget().Reserve(separator.size() + text.size())) return Value();
    if (index != 0) out += separator;
    out += text;
  }
  return Value::FromText(std::move(out));
}

Result<Value> FilterDefault(Interpreter&, const Value& v, const Arguments& a) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("default", {"default_value", "boolean"}, 0, a));
  const bool replaces = v.is_undefined() || (IsSet(bound[1]) && !v.IsTrue());
  return replaces ? bound[0].value_or(Value::FromText("")) : v;
}

Result<Value> FilterItems(Interpreter&, const Value& v, const Arguments& a) {
  QEFF_RETURN_IF_ERROR(BindArguments("items", {}, 0, a).status());
  if (v.is_undefined()) return Generator({});
  if (v.dictionary() == nullptr) return OperationError("can only get item pairs from a mapping");
  return Generator(DictionaryView(v, DictionaryView::Part::kItems).TakeItems());
}

Result<Value> FilterAttribute(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("attr", {"name"}, 1, a));
  if (v.is_undefined()) return UndefinedError(v);
  if (!bound[0]->is_text()) return OperationError("attr() expects the name as a string");
  const std::string& name = bound[0]->text();
  const Value missing =
      Value::MakeUndefined(fmt::format("'{}' has no attribute '{}'", ObjectName(v), name));
  if (v.dictionary() != nullptr && !PlainAttribute(v, name).has_value()) return missing;
  return i.GetAttribute(v, name);
}

Result<Value> FilterMap(Interpreter& i, const Value& v, const Arguments& a) {
  if (!v.IsTrue()) return Generator({});
  QEFF_ASSIGN_OR_RETURN(std::vector<Value> items, Items(v));
  if (!i.budget().Reserve(items.size() * sizeof(Value))) return Value();
  const auto has_attribute = [](const auto& entry) { return entry.first == "attribute"; };
  if (a.positional.empty() && std::ranges::any_of(a.keywords, has_attribute)) {
    QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("map", {"attribute", "default"}, 1, a));
    const KeyOptions options{.path = PathOf(*bound[0]), .default_value = bound[1]};
    for (Value& item : items) {
      QEFF_ASSIGN_OR_RETURN(item, KeyOf(i, item, options));
    }
    return Generator(std::move(items));
  }
  if (a.positional.empty() || !a.positional.front().is_text()) {
    return OperationError("map requires a filter argument");
  }
  Arguments rest = a;
  rest.positional.erase(rest.positional.begin());
  for (Value& item : items) {
    if (!i.budget().Work(1)) return Value();
    QEFF_ASSIGN_OR_RETURN(item, i.ApplyFilter(a.positional.front().text(), item, rest));
  }
  return Generator(std::move(items));
}

/// select, reject and their forms on attributes.
template <bool kWanted, bool kOnAttribute>
Result<Value> FilterSelect(Interpreter& i, const Value& v, const Arguments& a) {
  if (!v.IsTrue()) return Generator({});
  Arguments rest = a;
  KeyOptions options;
  if (kOnAttribute) {
    if (rest.positional.empty()) return OperationError("missing parameter for attribute name");
    options.path = PathOf(rest.positional.front());
    rest.positional.erase(rest.positional.begin());
  }
  std::optional<std::string> test;
  if (!rest.positional.empty()) {
    test = i.ToText(rest.positional.front());
    rest.positional.erase(rest.positional.begin());
  }
  QEFF_ASSIGN_OR_RETURN(std::vector<Value> items, Items(v));
  std::vector<Value> selected;
  for (Value& item : items) {
    if (!i.budget().Work(1)) return Value();
    QEFF_ASSIGN_OR_RETURN(const Value key, KeyOf(i, item, options));
    bool holds = key.IsTrue();
    if (test.has_value()) {
      QEFF_ASSIGN_OR_RETURN(holds, i.ApplyTest(*test, key, rest));
    }
    if (holds == kWanted) selected.push_back(std::move(item));
  }
  i.budget().Reserve(selected.size() * sizeof(Value));
  return Generator(std::move(selected));
}

Result<Value> FilterSort(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_ASSIGN_OR_RETURN(auto bound,
                        BindArguments("sort", {"reverse", "case_sensitive", "attribute"}, 0, a));
  QEFF_ASSIGN_OR_RETURN(std::vector<Value> items, Items(v));
  std::vector<KeyedItem> keyed;
  for (Value& item : items) {
    std::vector<Value> keys;
    // Several attributes with commas between them sort by the first, then by the next.
    std::vector<std::optional<Value>> attributes = {bound[2]};
    if (bound[2].has_value() && bound[2]->is_text()) {
      attributes.clear();
      const std::string& names = bound[2]->text();
      for (size_t begin = 0; begin <= names.size();) {
        const size_t end = std::min(names.find(',', begin), names.size());
        attributes.push_back(Value::FromText(names.substr(begin, end - begin)));
        begin = end + 1;
      }
    }
    for (const std::optional<Value>& attribute : attributes) {
      QEFF_ASSIGN_OR_RETURN(Value key, KeyOf(i, item, MakeKey(attribute, bound[1])));
      keys.push_back(std::move(key));
    }
    if (!i.budget().Work(keys.size())) return Value();
    keyed.push_back({Value::FromList(std::move(keys)), std::move(item)});
  }
  // Equal items keep their order in both directions.
  const bool is_reversed = IsSet(bound[0]);
  if (is_reversed) std::ranges::reverse(keyed);
  QEFF_RETURN_IF_ERROR(SortBy(
      keyed, [](const KeyedItem& item) -> const Value& { return item.key; }, i.budget()));
  if (is_reversed) std::ranges::reverse(keyed);
  std::vector<Value> sorted;
  for (KeyedItem& item : keyed) sorted.push_back(std::move(item.item));
  i.budget().Reserve(sorted.size() * sizeof(Value));
  return Value::FromList(std::move(sorted));
}

Result<Value> FilterDictSort(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_ASSIGN_OR_RETURN(auto bound,
                        BindArguments("dictsort", {"case_sensitive", "by", "reverse"}, 0, a));
  if (v.dictionary() == nullptr) {
    return OperationError(fmt::format("'{}' object has no attribute 'items'", v.TypeName()));
  }
  const std::string by = bound[1].has_value() ? i.ToText(*bound[1]) : "key";
  if (by != "key" && by != "value") {
    return OperationError("you can only sort by either \"key\" or \"value\"");
  }
  KeyOptions options = MakeKey(std::nullopt, bound[0]);
  options.path = {Value::FromInteger(by == "key" ? 0 : 1)};
  const Value pairs = Value::FromList(DictionaryView(v, DictionaryView::Part::kItems).TakeItems());
  QEFF_ASSIGN_OR_RETURN(std::vector<KeyedItem> keyed, KeyedItems(i, pairs, options));
  const bool is_reversed = IsSet(bound[2]);
  if (is_reversed) std::ranges::reverse(keyed);
  QEFF_RETURN_IF_ERROR(SortBy(
      keyed, [](const KeyedItem& item) -> const Value& { return item.key; }, i.budget()));
  if (is_reversed) std::ranges::reverse(keyed);
  std::vector<Value> sorted;
  for (KeyedItem& item : keyed) sorted.push_back(std::move(item.item));
  return Value::FromList(std::move(sorted));
}

Result<Value> FilterGroupBy(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_ASSIGN_OR_RETURN(auto bound,
                        BindArguments("groupby", {"attribute", "default", "case_sensitive"}, 1, a));
  KeyOptions options = MakeKey(bound[0], bound[2]);
  options.default_value = bound[1];
  QEFF_ASSIGN_OR_RETURN(std::vector<KeyedItem> keyed, KeyedItems(i, v, options));
  QEFF_RETURN_IF_ERROR(SortBy(
      keyed, [](const KeyedItem& item) -> const Value& { return item.key; }, i.budget()));
  options.ignores_case = false;
  std::vector<Value> groups;
  for (size_t begin = 0; begin < keyed.size();) {
    size_t end = begin;
    std::vector<Value> members;
    for (; end < keyed.size() && Equal(keyed[begin].key, keyed[end].key, i.budget()); ++end) {
      members.push_back(keyed[end].item);
    }
    if (end == begin) return Value();  // nothing is equal to itself: the budget is exhausted
    // The group's name is the first member's key in its own case.
    QEFF_ASSIGN_OR_RETURN(Value grouper, KeyOf(i, keyed[begin].item, options));
    groups.push_back(Value::FromGroup(std::move(grouper), Value::FromList(std::move(members))));
    begin = end;
  }
  return Value::FromList(std::move(groups));
}

Result<Value> FilterUnique(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("unique", {"case_sensitive", "attribute"}, 0, a));
  QEFF_ASSIGN_OR_RETURN(std::vector<KeyedItem> keyed,
                        KeyedItems(i, v, MakeKey(bound[1], bound[0])));
  Dictionary seen;
  std::vector<Value> unique;
  for (KeyedItem& entry : keyed) {
    if (!entry.key.IsHashable()) {
      return OperationError(fmt::format("unhashable type: '{}'", entry.key.TypeName()));
    }
    if (seen.Find(entry.key) != nullptr) continue;
    seen.Set(entry.key, Value());
    unique.push_back(std::move(entry.item));
  }
  i.budget().Reserve(unique.size() * sizeof(Value));
  return Generator(std::move(unique));
}

template <bool kLargest>
Result<Value> FilterExtreme(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_ASSIGN_OR_RETURN(
      auto bound, BindArguments(kLargest ? "max" : "min", {"case_sensitive", "attribute"}, 0, a));
  QEFF_ASSIGN_OR_RETURN(const std::vector<KeyedItem> keyed,
                        KeyedItems(i, v, MakeKey(bound[1], bound[0])));
  if (keyed.empty()) return Value::MakeUndefined("no aggregated item, sequence was empty");
  const KeyedItem* best = &keyed.front();
  for (const KeyedItem& entry : keyed) {
    QEFF_ASSIGN_OR_RETURN(const std::partial_ordering order,
                          Order(entry.key, best->key, kLargest ? ">" : "<", i.budget()));
    if (kLargest ? order > 0 : order < 0) best = &entry;
  }
  return best->item;
}

Result<Value> FilterSum(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("sum", {"attribute", "start"}, 0, a));
  KeyOptions options;
  if (bound[0].has_value() && !bound[0]->is_none()) options.path = PathOf(*bound[0]);
  QEFF_ASSIGN_OR_RETURN(const std::vector<KeyedItem> keyed, KeyedItems(i, v, options));
  Value sum = bound[1].value_or(Value::FromInteger(0));
  if (sum.is_text()) return OperationError("sum() can't sum strings [use ''.join(seq) instead]");
  for (const KeyedItem& entry : keyed) {
    QEFF_ASSIGN_OR_RETURN(sum, Apply(BinaryOperator::kAdd, sum, entry.key, i.budget()));
    if (i.budget().exhausted() != Budget::Limit::kNone) return Value();
  }
  return sum;
}

Result<Value> FilterBatch(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("batch", {"linecount", "fill_with"}, 1, a));
  QEFF_ASSIGN_OR_RETURN(const int64_t count, ToCount(*bound[0]));
  QEFF_ASSIGN_OR_RETURN(std::vector<Value> items, Items(v));
  std::vector<Value> batches;
  std::vector<Value> batch;
  for (Value& item : items) {
    if (std::ssize(batch) == count) {
      batches.push_back(Value::FromList(std::move(batch)));
      batch.clear();
    }
    batch.push_back(std::move(item));
  }
  if (!batch.empty()) {
    const bool fills = bound[1].has_value() && !bound[1]->is_none() && std::ssize(batch) < count;
    if (fills) {
      if (!i.budget().Reserve(static_cast<size_t>(count), sizeof(Value))) return Value();
      batch.resize(static_cast<size_t>(count), *bound[1]);
    }
    batches.push_back(Value::FromList(std::move(batch)));
  }
  i.budget().Reserve(items.size() * sizeof(Value));
  return Generator(std::move(batches));
}

Result<Value> FilterSlice(Interpreter& i, const Value& v, const Arguments& a) {
  QEFF_ASSIGN_OR_RETURN(auto bound, BindArguments("slice", {"slices", "fill_with"}, 1, a));
  QEFF_ASSIGN_OR_RETURN(const int64_t slices, ToCount(*bound[0]));
  QEFF_ASSIGN_OR_RETURN(const std::vector<Value> items, Items(v));
  if (slices == 0) return OperationError("integer division or modulo by zero");
  if (slices < 0) return Generator({});
  if (!i.budget().Reserve(static_cast<size_t>(slices), 2 * sizeof(Value)) ||
      !i.budget().Work(static_cast<size_t>(slices))) {
    return Value();
  }
  const int64_t per_slice = std::ssize(items) / slices;
  const int64_t larger = std::ssize(items) % slices;
  std::vector<Value> parts;
  int64_t begin = 0;
  for (int64_t slice = 0; slice < slices; ++slice) {
    const int64_t end = begin + per_slice + (slice < larger ? 1 : 0);
    std::vector<Value> part(items.begin() + begin, items.begin() + end);
    const bool fills = bound[1].has_value() && !bound[1]->is_none() && slice >= larger;
    if (fills) part.push_back(*bound[1]);
    parts.push_back(Value::FromList(std::move(part)));
    begin = end;
  }
  return Generator(std::move(parts));
}

constexpr FilterEntry kFilters[] = {
    {"attr", FilterAttribute},
    {"batch", FilterBatch},
    {"count", FilterLength},
    {"d", FilterDefault},
    {"default", FilterDefault},
    {"dictsort", FilterDictSort},
    {"first", FilterFirst},
    {"groupby", FilterGroupBy},
    {"items", FilterItems},
    {"join", FilterJoin},
    {"last", FilterLast},
    {"length", FilterLength},
    {"list", FilterList},
    {"map", FilterMap},
    {"max", FilterExtreme<true>},
    {"min", FilterExtreme<false>},
    {"reject", FilterSelect<false, false>},
    {"rejectattr", FilterSelect<false, true>},
    {"reverse", FilterReverse},
    {"select", FilterSelect<true, false>},
    {"selectattr", FilterSelect<true, true>},
    {"slice", FilterSlice},
    {"sort", FilterSort},
    {"sum", FilterSum},
    {"unique", FilterUnique},
};

}  // namespace

std::span<const FilterEntry> SequenceFilters() { return kFilters; }

}  // namespace qeff::jinja
