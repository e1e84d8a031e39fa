// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
//
// Values of the template language, with the meaning Python gives them: templates are written
// against Python's types, so True is an integer, text is indexed by character and dictionaries keep
// their order. Values do
// not change, but for namespaces, loops, and lists by pop() and clear(). Used
// inside lib/chat_template only; users see JSON.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "lib/chat_template/budget.h"
#include "lib/support/json.h"
#include "lib/support/status.h"

namespace qeff::jinja {

class Interpreter;
class Object;
class Value;

/// Python's integers have no bound; ours have 128 bits, and leaving them is an error.
using Integer = __int128;

/// What an expression without value stands for. Using it, other than by printing, testing or
/// iterating, is the error `message`.
struct Undefined {
  std::shared_ptr<const std::string> message;
};

struct None {};

struct Text {
  std::string bytes;       ///< UTF-8
  bool is_markup = false;  ///< marked as HTML by `safe` or `escape`; text added to it is escaped
};

struct Sequence {
  std::vector<Value> items;
  bool is_tuple = false;
  int depth = 1;          ///< of nesting
  bool is_group = false;  ///< a tuple (grouper, list) of `groupby`, whose parts have these names
};

/// Entries in order of insertion; keys compare as in Python (1 == 1.0 == True).
class Dictionary {
 public:
  const std::vector<std::pair<Value, Value>>& entries() const { return entries_; }
  /// Requires a key that IsHashable.
  const Value* Find(const Value& key) const;
  const Value* Find(std::string_view key) const;
  /// Replaces the value of a key that is there. Requires a key that IsHashable.
  void Set(Value key, Value value);
  size_t size() const;
  int depth() const { return depth_; }

 private:
  std::vector<std::pair<Value, Value>> entries_;
  std::unordered_map<std::string, size_t> index_;  ///< canonical key to entry
  int depth_ = 1;
};

class Value {
 public:
  Value() : storage_(None{}) {}
  static Value MakeUndefined(std::string message);
  static Value FromBool(bool value) { return Value(Storage(value)); }
  static Value FromInteger(Integer value) { return Value(Storage(value)); }
  static Value FromFloat(double value) { return Value(Storage(value)); }
  static Value FromText(std::string bytes);
  static Value FromMarkup(std::string bytes);
  static Value FromList(std::vector<Value> items);
  static Value FromTuple(std::vector<Value> items);
  static Value FromGroup(Value grouper, Value list);
  static Value FromDictionary(Dictionary dictionary);
  static Value FromObject(std::shared_ptr<Object> object) {
    return Value(Storage(std::move(object)));
  }
  /// Integers that do not fit become floats, as the JSON reader has made them.
  static Value FromJson(const Json& json);

  bool is_undefined() const { return std::holds_alternative<Undefined>(storage_); }
  bool is_none() const { return std::holds_alternative<None>(storage_); }
  bool is_bool() const { return std::holds_alternative<bool>(storage_); }
  /// Also true for booleans, as in Python.
  bool is_integer() const { return is_bool() || std::holds_alternative<Integer>(storage_); }
  bool is_float() const { return std::holds_alternative<double>(storage_); }
  bool is_number() const { return is_integer() || is_float(); }
  bool is_text() const { return std::holds_alternative<std::shared_ptr<const Text>>(storage_); }
  bool is_markup() const { return is_text() && text_node().is_markup; }
  bool is_list() const { return sequence() != nullptr && !sequence()->is_tuple; }
  bool is_tuple() const { return sequence() != nullptr && sequence()->is_tuple; }

  /// Each requires the type; `integer` takes booleans, `number` also integers.
  const Undefined& undefined() const { return std::get<Undefined>(storage_); }
  Integer integer() const;
  double number() const;
  const std::string& text() const { return text_node().bytes; }
  /// Null if it is something else.
  const Sequence* sequence() const;
  const Dictionary* dictionary() const;
  /// For pop() and clear(): whoever has the list sees the change. Requires is_list().
  std::vector<Value>& list_items() const;
  Object* object() const;
  template <typename T>
  T* As() const {
    return dynamic_cast<T*>(object());
  }
  /// The same object, as `is sameas` asks; small values are the same when they are equal.
  bool IsSameAs(const Value& other) const;

  bool IsTrue() const;
  bool IsHashable() const;
  /// Python's name of the type: "str", "int", "dict", ...
  std::string TypeName() const;
  /// Levels of containers; 0 for plain values.
  int depth() const;

 private:
  using Storage = std::variant<Undefined, None, bool, Integer, double, std::shared_ptr<const Text>,
                               std::shared_ptr<Sequence>, std::shared_ptr<const Dictionary>,
                               std::shared_ptr<Object>>;
  explicit Value(Storage storage) : storage_(std::move(storage)) {}
  const Text& text_node() const { return *std::get<std::shared_ptr<const Text>>(storage_); }

  Storage storage_;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> keywords;  ///< names are unique
};

/// Everything that is not plain data: ranges, iterators, views, functions, methods, macros, loops.
class Object {
 public:
  virtual ~Object() = default;
  virtual std::string TypeName() const = 0;
  virtual std::string Represent(Budget&) const { return "<" + TypeName() + " object>"; }
  /// None: there is no such attribute.
  virtual std::optional<Value> Attribute(std::string_view) const { return std::nullopt; }
  virtual bool is_callable() const { return false; }
  virtual Result<Value> Call(Interpreter&, Arguments);
  /// None: it has no length.
  virtual std::optional<size_t> size() const { return std::nullopt; }
  virtual bool is_iterable() const { return false; }
  /// True if it can be indexed by integers.
  virtual bool is_indexable() const { return false; }
  /// Returns all items; an iterator then has none left. Requires is_iterable().
  virtual std::vector<Value> TakeItems() { return {}; }
  virtual int depth() const { return 0; }
};

/// The numbers of Python's range: at most kMaxItems of them, made when the range is.
class Range final : public Object {
 public:
  static constexpr size_t kMaxItems = 100000;
  Range(Integer start, Integer stop, Integer step, std::vector<Value> items)
      : start_(start), stop_(stop), step_(step), items_(std::move(items)) {}
  std::string TypeName() const override { return "range"; }
  std::string Represent(Budget&) const override;
  std::optional<Value> Attribute(std::string_view name) const override;
  std::optional<size_t> size() const override { return items_.size(); }
  bool is_iterable() const override { return true; }
  bool is_indexable() const override { return true; }
  std::vector<Value> TakeItems() override { return items_; }
  const std::vector<Value>& items() const { return items_; }

 private:
  Integer start_, stop_, step_;
  std::vector<Value> items_;
};

/// What `map`, `select`, ... give: items that can be gone through once.
class Iterator final : public Object {
 public:
  Iterator(std::string type_name, std::vector<Value> items);
  std::string TypeName() const override { return type_name_; }
  bool is_iterable() const override { return true; }
  std::vector<Value> TakeItems() override;
  /// Returns the next item, if there is one.
  std::optional<Value> Next();
  int depth() const override { return depth_; }

 private:
  std::string type_name_;
  std::vector<Value> items_;
  size_t next_ = 0;
  int depth_ = 1;
};

/// keys(), values() and items() of a dictionary.
class DictionaryView final : public Object {
 public:
  enum class Part { kKeys, kValues, kItems };
  DictionaryView(Value dictionary, Part part) : dictionary_(std::move(dictionary)), part_(part) {}
  std::string TypeName() const override;
  std::string Represent(Budget& budget) const override;
  std::optional<size_t> size() const override { return dictionary_.dictionary()->size(); }
  bool is_iterable() const override { return true; }
  std::vector<Value> TakeItems() override;
  int depth() const override { return dictionary_.depth() + 2; }

 private:
  Value dictionary_;
  Part part_;
};

/// A function of ours, or a method bound to its value.
class Function final : public Object {
 public:
  using Body = Result<Value> (*)(Interpreter&, const Value& self, const Arguments&);
  Function(std::string name, Body body) : name_(std::move(name)), body_(body) {}
  Function(std::string name, Body body, Value self)
      : name_(std::move(name)), body_(body), self_(std::move(self)), is_method_(true) {}
  std::string TypeName() const override;
  std::string Represent(Budget&) const override;
  bool is_callable() const override { return true; }
  Result<Value> Call(Interpreter& interpreter, Arguments arguments) override;
  int depth() const override { return self_.depth() + 1; }

 private:
  std::string name_;
  Body body_;
  Value self_;
  bool is_method_ = false;
};

/// What {% set name.attribute = ... %} may write to.
class Namespace final : public Object {
 public:
  std::string TypeName() const override { return "jinja2.utils.Namespace"; }
  std::string Represent(Budget& budget) const override;
  std::optional<Value> Attribute(std::string_view name) const override;
  Dictionary attributes;
};

/// Errors of operations carry no place; the interpreter adds the expression's.
inline Status OperationError(std::string message) { return InvalidInput({}, std::move(message)); }

/// Returns "'int object'"-like names for messages about attributes: "int object", "None".
std::string ObjectName(const Value& value);

/// Returns the arguments by parameter; those beyond `required` may be absent. `names` without
/// keyword use start with '/'. Errors: too many, too few, unknown or given twice.
Result<std::vector<std::optional<Value>>> BindArguments(std::string_view function,
                                                        const std::vector<std::string_view>& names,
                                                        size_t required,
                                                        const Arguments& arguments);

}  // namespace qeff::jinja
