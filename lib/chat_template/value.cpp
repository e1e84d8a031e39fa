// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/chat_template/value.h"

#include <algorithm>
#include <cmath>

#include "lib/chat_template/value_text.h"

namespace qeff::jinja {
namespace {

int DepthOf(const std::vector<Value>& items) {
  int depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth());
  return depth + 1;
}

std::string CanonicalText(std::string_view text) { return "s" + std::string(text); }

/// Equal keys, and only they, have equal strings.
std::string CanonicalKey(const Value& key) {
  if (key.is_text()) return CanonicalText(key.text());
  if (key.is_integer()) return fmt::format("n{}", key.integer());
  if (key.is_float()) {
    const double number = key.number();
    constexpr double kExactBound = 1e30;
    if (std::trunc(number) == number && std::abs(number) < kExactBound) {
      return fmt::format("n{}", static_cast<Integer>(number));
    }
    return fmt::format("f{}", number);
  }
  if (key.is_tuple()) {
    std::string joined = "t";
    for (const Value& item : key.sequence()->items) {
      const std::string part = CanonicalKey(item);
      joined += fmt::format("{}:{}", part.size(), part);
    }
    return joined;
  }
  if (key.object() != nullptr) return fmt::format("o{}", static_cast<const void*>(key.object()));
  return key.is_undefined() ? "u" : "0";
}

/// Up to this many entries, comparing keys one by one is faster than an index.
constexpr size_t kIndexedEntries = 8;

}  // namespace

size_t Dictionary::size() const { return entries_.size(); }

const Value* Dictionary::Find(const Value& key) const {
  const std::string canonical = CanonicalKey(key);
  if (!index_.empty()) {
    const auto found = index_.find(canonical);
    return found == index_.end() ? nullptr : &entries_[found->second].second;
  }
  for (const auto& [name, value] : entries_) {
    if (CanonicalKey(name) == canonical) return &value;
  }
  return nullptr;
}

const Value* Dictionary::Find(std::string_view key) const {
  if (!index_.empty()) {
    const auto found = index_.find(CanonicalText(key));
    return found == index_.end() ? nullptr : &entries_[found->second].second;
  }
  for (const auto& [name, value] : entries_) {
    if (name.is_text() && name.text() == key) return &value;
  }
  return nullptr;
}

void Dictionary::Set(Value key, Value value) {
  depth_ = std::max({depth_, key.depth() + 1, value.depth() + 1});
  if (const Value* old = Find(key)) {
    *const_cast<Value*>(old) = std::move(value);
    return;
  }
  entries_.emplace_back(std::move(key), std::move(value));
  if (entries_.size() == kIndexedEntries + 1) {
    for (size_t i = 0; i < entries_.size(); ++i) index_[CanonicalKey(entries_[i].first)] = i;
  } else if (entries_.size() > kIndexedEntries) {
    index_[CanonicalKey(entries_.back().first)] = entries_.size() - 1;
  }
}

Value Value::MakeUndefined(std::string message) {
  return Value(Storage(Undefined{std::make_shared<const std::string>(std::move(message))}));
}

Value Value::FromText(std::string bytes) {
  return Value(Storage(std::make_shared<const Text>(Text{std::move(bytes), false})));
}

Value Value::FromMarkup(std::string bytes) {
  return Value(Storage(std::make_shared<const Text>(Text{std::move(bytes), true})));
}

Value Value::FromList(std::vector<Value> items) {
  const int depth = DepthOf(items);
  return Value(Storage(std::make_shared<Sequence>(Sequence{std::move(items), false, depth})));
}

Value Value::FromTuple(std::vector<Value> items) {
  const int depth = DepthOf(items);
  return Value(Storage(std::make_shared<Sequence>(Sequence{std::move(items), true, depth})));
}

Value Value::FromGroup(Value grouper, Value list) {
  std::vector<Value> items = {std::move(grouper), std::move(list)};
  const int depth = DepthOf(items);
  return Value(Storage(std::make_shared<Sequence>(Sequence{std::move(items), true, depth, true})));
}

Value Value::FromDictionary(Dictionary dictionary) {
  return Value(Storage(std::make_shared<const Dictionary>(std::move(dictionary))));
}

Value Value::FromJson(const Json& json) {
  switch (json.type()) {
    case Json::value_t::boolean:
      return FromBool(json.get<bool>());
    case Json::value_t::number_integer:
      return FromInteger(json.get<int64_t>());
    case Json::value_t::number_unsigned:
      return FromInteger(json.get<uint64_t>());
    case Json::value_t::number_float:
      return FromFloat(json.get<double>());
    case Json::value_t::string:
      return FromText(json.get<std::string>());
    case Json::value_t::array: {
      std::vector<Value> items;
      items.reserve(json.size());
      for (const Json& item : json) items.push_back(FromJson(item));
      return FromList(std::move(items));
    }
    case Json::value_t::object: {
      Dictionary dictionary;
      for (const auto& [key, item] : json.items()) dictionary.Set(FromText(key), FromJson(item));
      return FromDictionary(std::move(dictionary));
    }
    default:
      return {};
  }
}

Integer Value::integer() const {
  if (const bool* value = std::get_if<bool>(&storage_)) return *value ? 1 : 0;
  return std::get<Integer>(storage_);
}

double Value::number() const {
  if (const double* value = std::get_if<double>(&storage_)) return *value;
  return static_cast<double>(integer());
}

const Sequence* Value::sequence() const {
  const auto* value = std::get_if<std::shared_ptr<Sequence>>(&storage_);
  return value == nullptr ? nullptr : value->get();
}

std::vector<Value>& Value::list_items() const {
  return std::get<std::shared_ptr<Sequence>>(storage_)->items;
}

const Dictionary* Value::dictionary() const {
  const auto* value = std::get_if<std::shared_ptr<const Dictionary>>(&storage_);
  return value == nullptr ? nullptr : value->get();
}

Object* Value::object() const {
  const auto* value = std::get_if<std::shared_ptr<Object>>(&storage_);
  return value == nullptr ? nullptr : value->get();
}

bool Value::IsSameAs(const Value& other) const {
  if (storage_.index() != other.storage_.index()) return false;
  if (is_none()) return true;
  if (is_integer()) return integer() == other.integer();
  if (is_float()) return number() == other.number();
  if (is_text()) return text() == other.text();
  if (is_undefined()) return undefined().message == other.undefined().message;
  if (sequence() != nullptr) return sequence() == other.sequence();
  if (dictionary() != nullptr) return dictionary() == other.dictionary();
  return object() == other.object();
}

bool Value::IsTrue() const {
  if (is_undefined() || is_none()) return false;
  if (is_integer()) return integer() != 0;
  if (is_float()) return number() != 0;
  if (is_text()) return !text().empty();
  if (sequence() != nullptr) return !sequence()->items.empty();
  if (dictionary() != nullptr) return dictionary()->size() != 0;
  return object()->size().value_or(1) != 0;
}

bool Value::IsHashable() const {
  if (is_list() || dictionary() != nullptr) return false;
  if (is_tuple()) return std::ranges::all_of(sequence()->items, &Value::IsHashable);
  return As<DictionaryView>() == nullptr;
}

std::string Value::TypeName() const {
  if (is_undefined()) return "Undefined";
  if (is_none()) return "NoneType";
  if (is_bool()) return "bool";
  if (is_integer()) return "int";
  if (is_float()) return "float";
  if (is_text()) return is_markup() ? "Markup" : "str";
  if (sequence() != nullptr) return is_tuple() ? "tuple" : "list";
  if (dictionary() != nullptr) return "dict";
  return object()->TypeName();
}

int Value::depth() const {
  if (sequence() != nullptr) return sequence()->depth;
  if (dictionary() != nullptr) return dictionary()->depth();
  return object() != nullptr ? object()->depth() : 0;
}

Result<Value> Object::Call(Interpreter&, Arguments) {
  return OperationError(fmt::format("'{}' object is not callable", TypeName()));
}

std::string Range::Represent(Budget&) const {
  if (step_ == 1) return fmt::format("range({}, {})", start_, stop_);
  return fmt::format("range({}, {}, {})", start_, stop_, step_);
}

std::optional<Value> Range::Attribute(std::string_view name) const {
  if (name == "start") return Value::FromInteger(start_);
  if (name == "stop") return Value::FromInteger(stop_);
  if (name == "step") return Value::FromInteger(step_);
  return std::nullopt;
}

Iterator::Iterator(std::string type_name, std::vector<Value> items)
    : type_name_(std::move(type_name)), items_(std::move(items)), depth_(DepthOf(items_)) {}

std::vector<Value> Iterator::TakeItems() {
  std::vector<Value> rest(items_.begin() + static_cast<std::ptrdiff_t>(next_), items_.end());
  next_ = items_.size();
  return rest;
}

std::optional<Value> Iterator::Next() {
  if (next_ == items_.size()) return std::nullopt;
  return items_[next_++];
}

std::string DictionaryView::TypeName() const {
  switch (part_) {
    case Part::kKeys:
      return "dict_keys";
    case Part::kValues:
      return "dict_values";
    case Part::kItems:
      break;
  }
  return "dict_items";
}

std::string DictionaryView::Represent(Budget& budget) const {
  DictionaryView copy = *this;
  return TypeName() + "(" + jinja::Represent(Value::FromList(copy.TakeItems()), budget) + ")";
}

std::vector<Value> DictionaryView::TakeItems() {
  std::vector<Value> items;
  for (const auto& [key, value] : dictionary_.dictionary()->entries()) {
    if (part_ == Part::kKeys) items.push_back(key);
    if (part_ == Part::kValues) items.push_back(value);
    if (part_ == Part::kItems) items.push_back(Value::FromTuple({key, value}));
  }
  return items;
}

std::string Function::TypeName() const {
  return is_method_ ? "builtin_function_or_method" : "function";
}

std::string Function::Represent(Budget&) const {
  if (!is_method_) return fmt::format("<function {}>", name_);
  return fmt::format("<built-in method {} of {} object>", name_, self_.TypeName());
}

Result<Value> Function::Call(Interpreter& interpreter, Arguments arguments) {
  return body_(interpreter, self_, arguments);
}

std::string Namespace::Represent(Budget& budget) const {
  return "<Namespace " + jinja::Represent(Value::FromDictionary(attributes), budget) + ">";
}

std::optional<Value> Namespace::Attribute(std::string_view name) const {
  const Value* value = attributes.Find(name);
  return value == nullptr ? std::nullopt : std::optional<Value>(*value);
}

std::string ObjectName(const Value& value) {
  return value.is_none() ? "None" : value.TypeName() + " object";
}

Result<std::vector<std::optional<Value>>> BindArguments(std::string_view function,
                                                        const std::vector<std::string_view>& names,
                                                        size_t required,
                                                        const Arguments& arguments) {
  std::vector<std::optional<Value>> bound(names.size());
  if (arguments.positional.size() > names.size()) {
    return OperationError(fmt::format("{}() takes at most {} argument{} ({} given)", function,
                                      names.size(), names.size() == 1 ? "" : "s",
                                      arguments.positional.size()));
  }
  std::ranges::copy(arguments.positional, bound.begin());
  for (const auto& [name, value] : arguments.keywords) {
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) {
      return OperationError(
          fmt::format("{}() got an unexpected keyword argument '{}'", function, name));
    }
    std::optional<Value>& place = bound[static_cast<size_t>(found - names.begin())];
    if (place.has_value()) {
      return OperationError(
          fmt::format("{}() got multiple values for argument '{}'", function, name));
    }
    place = value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (!bound[i].has_value()) {
      std::string_view name = names[i];
      if (name.starts_with('/')) name.remove_prefix(1);
      return OperationError(fmt::format("{}() missing 1 required argument: '{}'", function, name));
    }
  }
  return bound;
}

}  // namespace qeff::jinja
