// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include "lib/chat_template/format.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "lib/chat_template/interpreter.h"
#include "lib/chat_template/markup.h"
#include "lib/chat_template/operators.h"
#include "lib/chat_template/string_methods.h"
#include "lib/chat_template/unicode_text.h"
#include "lib/chat_template/value_text.h"

namespace qeff::jinja {
namespace {

/// How a value is written; both languages are read into this.
struct Spec {
  std::string fill = " ";
  char alignment = '\0';  ///< '<', '>', '^', '=' or none
  char sign = '-';        ///< '-', '+' or ' '
  bool alternate = false;
  char grouping = '\0';  ///< ',' or '_' or none
  int64_t width = 0;
  std::optional<int64_t> precision;
  char type = '\0';
};

constexpr int64_t kMaxPrecision = 1000;  ///< no float has more digits than fit in it

std::string GroupDigits(const std::string& digits, char separator, size_t group) {
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i != 0 && (digits.size() - i) % group == 0) out += separator;
    out += digits[i];
  }
  return out;
}

std::string IntegerDigits(Integer value, char type) {
  const unsigned __int128 magnitude =
      value < 0 ? -static_cast<unsigned __int128>(value) : static_cast<unsigned __int128>(value);
  switch (type) {
    case 'x':
      return fmt::format("{:x}", magnitude);
    case 'X':
      return fmt::format("{:X}", magnitude);
    case 'o':
      return fmt::format("{:o}", magnitude);
    case 'b':
      return fmt::format("{:b}", magnitude);
    default:
      return fmt::format("{}", magnitude);
  }
}

/// Digits of a float's magnitude, without sign.
std::string FloatDigits(double value, const Spec& spec) {
  const double magnitude = std::abs(value);
  const bool is_upper = spec.type == 'E' || spec.type == 'F' || spec.type == 'G';
  if (!std::isfinite(magnitude)) {
    const std::string text = std::isnan(magnitude) ? "nan" : "inf";
    return is_upper ? Upper(text) : text;
  }
  const auto precision = static_cast<int>(std::min(spec.precision.value_or(6), kMaxPrecision));
  std::string digits;
  switch (spec.type) {
    case 'e':
    case 'E':
      digits = spec.alternate ? fmt::format("{:#.{}e}", magnitude, precision)
                              : fmt::format("{:.{}e}", magnitude, precision);
      break;
    case 'f':
    case 'F':
      digits = spec.alternate ? fmt::format("{:#.{}f}", magnitude, precision)
                              : fmt::format("{:.{}f}", magnitude, precision);
      break;
    case 'g':
    case 'G':
      digits = spec.alternate ? fmt::format("{:#.{}g}", magnitude, std::max(precision, 1))
                              : fmt::format("{:.{}g}", magnitude, std::max(precision, 1));
      break;
    case '%':
      return fmt::format("{:.{}f}%", magnitude * 100, precision);
    default:
      if (!spec.precision.has_value()) return FloatText(magnitude);
      digits = fmt::format("{:.{}g}", magnitude, std::max(precision, 1));
      if (digits.find_first_of(".e") == std::string::npos) digits += ".0";
  }
  return is_upper ? Upper(digits) : digits;
}

/// Joins sign, prefix and digits, and fills them up to the width.
std::string AlignNumber(bool is_negative, std::string_view prefix, std::string digits,
                        const Spec& spec, Budget& budget) {
  if (spec.grouping != '\0') {
    const size_t whole = std::min(digits.find_first_of(".e%"), digits.size());
    const size_t group = spec.type == 'x' || spec.type == 'X' || spec.type == 'b' ? 4 : 3;
    digits = GroupDigits(digits.substr(0, whole), spec.grouping, group) + digits.substr(whole);
  }
  std::string head = is_negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  head += prefix;
  if (spec.alignment == '=') {
    const int64_t width = spec.width - static_cast<int64_t>(head.size());
    return head + Pad(digits, width, spec.fill, Alignment::kRight, budget);
  }
  const Alignment alignment = spec.alignment == '<'   ? Alignment::kLeft
                              : spec.alignment == '^' ? Alignment::kCenter
                                                      : Alignment::kRight;
  if (alignment == Alignment::kCenter) {  // format() puts the odd blank to the right
    const auto length = static_cast<int64_t>(CountCharacters(head + digits));
    const int64_t left = std::max<int64_t>(0, spec.width - length) / 2;
    const std::string start =
        Pad(head + digits, length + left, spec.fill, Alignment::kRight, budget);
    return Pad(start, spec.width, spec.fill, Alignment::kLeft, budget);
  }
  return Pad(head + digits, spec.width, spec.fill, alignment, budget);
}

std::string AlignText(std::string_view text, Spec spec, Budget& budget) {
  if (spec.precision.has_value()) {
    text = text.substr(0, ByteOffset(text, static_cast<size_t>(*spec.precision)));
  }
  if (spec.alignment == '\0') spec.alignment = '<';
  spec.sign = '-';
  spec.grouping = '\0';
  return AlignNumber(false, "", std::string(text), spec, budget);
}

std::string_view Prefix(const Spec& spec) {
  if (!spec.alternate) return "";
  switch (spec.type) {
    case 'x':
      return "0x";
    case 'X':
      return "0X";
    case 'o':
      return "0o";
    case 'b':
      return "0b";
    default:
      return "";
  }
}

// "%...": conversions.

class PercentFormatter {
 public:
  PercentFormatter(const Value& format, const Value& value, Budget& budget)
      : format_(format.text()), is_markup_(format.is_markup()), value_(value), budget_(budget) {
    if (value.is_tuple()) {
      arguments_ = value.sequence()->items;
    } else {
      arguments_ = {value};
    }
  }

  Result<std::string> Run() {
    while (position_ < format_.size()) {
      const size_t percent = std::min(format_.find('%', position_), format_.size());
      out_ += format_.substr(position_, percent - position_);
      position_ = percent + 1;
      if (percent == format_.size()) break;
      QEFF_RETURN_IF_ERROR(Convert());
    }
    const bool may_be_left =
        value_.dictionary() != nullptr || (value_.sequence() != nullptr && !value_.is_tuple());
    if (next_ < arguments_.size() && !(may_be_left && !uses_position_) && !uses_mapping_) {
      return OperationError("not all arguments converted during string formatting");
    }
    return std::move(out_);
  }

 private:
  Result<Value> NextArgument() {
    uses_position_ = true;
    if (next_ >= arguments_.size()) {
      return OperationError("not enough arguments for format string");
    }
    return arguments_[next_++];
  }

  /// Reads digits, or '*' for the next argument.
  Result<int64_t> ReadCount() {
    if (position_ < format_.size() && format_[position_] == '*') {
      ++position_;
      QEFF_ASSIGN_OR_RETURN(const Value argument, NextArgument());
      return ToCount(argument);
    }
    int64_t count = 0;
    for (; position_ < format_.size() && format_[position_] >= '0' && format_[position_] <= '9';
         ++position_) {
      count = std::min<int64_t>(count * 10 + (format_[position_] - '0'), INT32_MAX);
    }
    return count;
  }

  Status Convert() {
    std::optional<Value> named;
    if (position_ < format_.size() && format_[position_] == '(') {
      const size_t end = format_.find(')', position_);
      if (end == std::string_view::npos) return OperationError("incomplete format key");
      const std::string key(format_.substr(position_ + 1, end - position_ - 1));
      position_ = end + 1;
      if (value_.dictionary() == nullptr) return OperationError("format requires a mapping");
      const Value* found = value_.dictionary()->Find(key);
      if (found == nullptr) return OperationError(fmt::format("no key '{}' for the format", key));
      named = *found;
      uses_mapping_ = true;
    }
    Spec spec;
    bool is_left = false;
    bool is_zero_filled = false;
    for (; position_ < format_.size(); ++position_) {
      const char flag = format_[position_];
      if (flag == '-') {
        is_left = true;
      } else if (flag == '+' || (flag == ' ' && spec.sign != '+')) {
        spec.sign = flag;
      } else if (flag == '#') {
        spec.alternate = true;
      } else if (flag == '0') {
        is_zero_filled = true;
      } else if (flag != ' ') {
        break;
      }
    }
    QEFF_ASSIGN_OR_RETURN(spec.width, ReadCount());
    if (spec.width < 0) {
      is_left = true;
      spec.width = -std::max<int64_t>(spec.width, -INT32_MAX);
    }
    if (position_ < format_.size() && format_[position_] == '.') {
      ++position_;
      QEFF_ASSIGN_OR_RETURN(spec.precision, ReadCount());
      spec.precision = std::max<int64_t>(0, *spec.precision);
    }
    while (position_ < format_.size() &&
           std::string_view("hlL").find(format_[position_]) != std::string_view::npos) {
      ++position_;
    }
    if (position_ >= format_.size()) return OperationError("incomplete format");
    spec.type = format_[position_++];
    spec.alignment = is_left ? '<' : '>';
    if (spec.type == '%') {
      out_ += '%';
      return Status::Ok();
    }
    Value argument;
    if (named.has_value()) {
      argument = *named;
    } else {
      QEFF_ASSIGN_OR_RETURN(argument, NextArgument());
    }
    if (is_zero_filled && !is_left &&
        std::string_view("srac").find(spec.type) == std::string_view::npos) {
      spec.fill = "0";
      spec.alignment = '=';
    }
    return Append(argument, spec);
  }

  /// Text that is put into markup becomes markup.
  std::string Escaped(const Value& argument, std::string text) const {
    return is_markup_ && !argument.is_markup() ? EscapeHtml(text) : text;
  }

  Status Append(const Value& argument, Spec spec) {
    switch (spec.type) {
      case 's':
        out_ += AlignText(Escaped(argument, ToText(argument, budget_)), spec, budget_);
        return Status::Ok();
      case 'r':
      case 'a':
        out_ += AlignText(Escaped(argument, Represent(argument, budget_)), spec, budget_);
        return Status::Ok();
      case 'c': {
        std::string text;
        if (argument.is_text() && CountCharacters(argument.text()) == 1) {
          text = argument.text();
        } else if (argument.is_integer() && argument.integer() >= 0 &&
                   argument.integer() <= 0x10FFFF &&
                   (argument.integer() < 0xD800 || argument.integer() > 0xDFFF)) {
          AppendCharacter(static_cast<char32_t>(argument.integer()), text);
        } else {
          return OperationError("%c requires int or char");
        }
        spec.precision.reset();
        out_ += AlignText(text, spec, budget_);
        return Status::Ok();
      }
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o':
        return AppendInteger(argument, spec);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        break;
      default:
        return OperationError(fmt::format("unsupported format character '{}'", spec.type));
    }
    if (!argument.is_number()) {
      return OperationError(fmt::format("must be real number, not {}", argument.TypeName()));
    }
    const double number = argument.number();
    out_ += AlignNumber(std::signbit(number) && !std::isnan(number), "", FloatDigits(number, spec),
                        spec, budget_);
    return Status::Ok();
  }

  Status AppendInteger(const Value& argument, const Spec& spec) {
    const bool is_decimal = spec.type == 'd' || spec.type == 'i' || spec.type == 'u';
    Integer integer = 0;
    if (argument.is_integer()) {
      integer = argument.integer();
    } else if (argument.is_float() && is_decimal && std::abs(argument.number()) < 1e30) {
      integer = static_cast<Integer>(argument.number());
    } else {
      return OperationError(fmt::format("%{} format: a{} is required, not {}", spec.type,
                                        is_decimal ? " real number" : "n integer",
                                        argument.TypeName()));
    }
    std::string digits = IntegerDigits(integer, spec.type);
    if (spec.precision.has_value()) {
      digits = Pad(digits, *spec.precision, "0", Alignment::kRight, budget_);
    }
    out_ += AlignNumber(integer < 0, Prefix(spec), digits, spec, budget_);
    return Status::Ok();
  }

  std::string_view format_;
  bool is_markup_;
  const Value& value_;
  Budget& budget_;
  std::vector<Value> arguments_;
  size_t position_ = 0;
  size_t next_ = 0;
  bool uses_position_ = false;
  bool uses_mapping_ = false;
  std::string out_;
};

// "{...}": replacement fields.

/// Reads [[fill]align][sign][#][0][width][grouping][.precision][type].
Result<Spec> ParseSpec(std::string_view text, const Value& value) {
  const auto is_alignment = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  Spec spec;
  size_t position = 0;
  bool has_fill = false;
  const size_t first = text.empty() ? 0 : CharacterBytes(text.front());
  if (first < text.size() && is_alignment(text[first])) {
    spec.fill = text.substr(0, first);
    has_fill = true;
    spec.alignment = text[first];
    position = first + 1;
  } else if (!text.empty() && is_alignment(text.front())) {
    spec.alignment = text.front();
    position = 1;
  }
  const auto peek = [&] { return position < text.size() ? text[position] : '\0'; };
  if (peek() == '+' || peek() == '-' || peek() == ' ') spec.sign = text[position++];
  if (peek() == '#') {
    spec.alternate = true;
    ++position;
  }
  if (peek() == '0') {
    ++position;
    if (!has_fill) spec.fill = "0";
    if (spec.alignment == '\0') spec.alignment = value.is_number() ? '=' : '<';
  }
  const auto read_count = [&] {
    int64_t count = 0;
    for (; peek() >= '0' && peek() <= '9'; ++position) {
      count = std::min<int64_t>(count * 10 + (peek() - '0'), INT32_MAX);
    }
    return count;
  };
  spec.width = read_count();
  if (peek() == ',' || peek() == '_') spec.grouping = text[position++];
  if (peek() == '.') {
    ++position;
    if (peek() < '0' || peek() > '9') return OperationError("format specifier missing precision");
    spec.precision = read_count();
  }
  if (position < text.size()) spec.type = text[position++];
  if (position < text.size()) {
    return OperationError(fmt::format("invalid format specifier '{}'", text));
  }
  return spec;
}

Result<std::string> FormatValue(const Value& value, std::string_view spec_text, Budget& budget) {
  if (spec_text.empty()) return ToText(value, budget);
  QEFF_ASSIGN_OR_RETURN(Spec spec, ParseSpec(spec_text, value));
  const auto bad_type = [&] {
    return OperationError(fmt::format("unknown format code '{}' for object of type '{}'", spec.type,
                                      value.TypeName()));
  };
  if (value.is_text()) {
    if (spec.type != 's' && spec.type != '\0') return bad_type();
    if (spec.alignment == '=' || spec.sign != '-' || spec.alternate || spec.grouping != '\0') {
      return OperationError("this format specifier is not allowed for strings");
    }
    return AlignText(value.text(), spec, budget);
  }
  if (!value.is_number()) {
    return OperationError(
        fmt::format("unsupported format string passed to {}.__format__", value.TypeName()));
  }
  const bool is_float_type = std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos;
  if (value.is_integer() && !(is_float_type && spec.type != '\0')) {
    if (spec.type == 'c') {
      if (value.integer() < 0 || value.integer() > 0x10FFFF) return bad_type();
      std::string text;
      AppendCharacter(static_cast<char32_t>(value.integer()), text);
      return AlignText(text, spec, budget);
    }
    if (std::string_view("dnxXob").find(spec.type) == std::string_view::npos && spec.type != '\0') {
      return bad_type();
    }
    if (spec.precision.has_value()) {
      return OperationError("precision not allowed in integer format specifier");
    }
    return AlignNumber(value.integer() < 0, Prefix(spec), IntegerDigits(value.integer(), spec.type),
                       spec, budget);
  }
  if (!is_float_type && spec.type != 'n' && spec.type != '\0') return bad_type();
  if (spec.type == 'n') spec.type = 'g';
  const double number = value.number();
  return AlignNumber(std::signbit(number) && !std::isnan(number), "", FloatDigits(number, spec),
                     spec, budget);
}

class BraceFormatter {
 public:
  BraceFormatter(Interpreter& interpreter, const Arguments& arguments)
      : interpreter_(interpreter), arguments_(arguments) {}

  Result<std::string> Run(std::string_view format, int depth) {
    std::string out;
    for (size_t position = 0; position < format.size();) {
      const char c = format[position];
      if (c != '{' && c != '}') {
        out += c;
        ++position;
      } else if (position + 1 < format.size() && format[position + 1] == c) {
        out += c;
        position += 2;
      } else if (c == '}') {
        return OperationError("single '}' encountered in format string");
      } else {
        const size_t end = FieldEnd(format, position + 1);
        if (end == std::string_view::npos)
          return OperationError("expected '}' before end of string");
        QEFF_ASSIGN_OR_RETURN(const std::string field,
                              FormatField(format.substr(position + 1, end - position - 1), depth));
        if (!interpreter_.budget().Reserve(field.size())) return std::string();
        out += field;
        position = end + 1;
      }
    }
    return out;
  }

 private:
  static size_t FieldEnd(std::string_view format, size_t position) {
    for (int open = 1; position < format.size(); ++position) {
      if (format[position] == '{') ++open;
      if (format[position] == '}' && --open == 0) return position;
    }
    return std::string_view::npos;
  }

  Result<std::string> FormatField(std::string_view field, int depth) {
    constexpr int kMaxDepth = 2;
    if (depth >= kMaxDepth) return OperationError("max string recursion exceeded");
    // The name ends at '!' or ':' outside of brackets.
    size_t name_end = 0;
    for (bool in_brackets = false; name_end < field.size(); ++name_end) {
      if (field[name_end] == '[') in_brackets = true;
      if (field[name_end] == ']') in_brackets = false;
      if (!in_brackets && (field[name_end] == '!' || field[name_end] == ':')) break;
    }
    QEFF_ASSIGN_OR_RETURN(Value value, Lookup(field.substr(0, name_end)));
    std::string_view rest = field.substr(name_end);
    if (rest.starts_with('!')) {
      const char conversion = rest.size() > 1 ? rest[1] : '\0';
      if (conversion == 'r' || conversion == 'a') {
        value = Value::FromText(Represent(value, interpreter_.budget()));
      } else if (conversion == 's') {
        value = Value::FromText(interpreter_.ToText(value));
      } else {
        return OperationError("expected 's', 'r' or 'a' after '!' in a format field");
      }
      rest.remove_prefix(2);
      if (!rest.empty() && rest.front() != ':') {
        return OperationError("expected ':' after conversion specifier");
      }
    }
    if (rest.starts_with(':')) rest.remove_prefix(1);
    QEFF_ASSIGN_OR_RETURN(const std::string spec, Run(rest, depth + 1));
    return FormatValue(value, spec, interpreter_.budget());
  }

  /// Finds "0", "name", "" (the next one), followed by .attribute and [index].
  Result<Value> Lookup(std::string_view path) {
    const size_t head_end = std::min(path.find_first_of(".["), path.size());
    const std::string head(path.substr(0, head_end));
    Value value;
    const bool is_number = head.find_first_not_of("0123456789") == std::string::npos;
    if (is_number) {
      const size_t index = head.empty() ? next_++ : ToSize(head);
      if (index >= arguments_.positional.size()) {
        return OperationError(fmt::format("replacement index {} out of range", index));
      }
      value = arguments_.positional[index];
    } else {
      const auto found =
          std::ranges::find(arguments_.keywords, head, &std::pair<std::string, Value>::first);
      if (found == arguments_.keywords.end()) {
        return OperationError(fmt::format("no argument '{}' for the format", head));
      }
      value = found->second;
    }
    for (size_t position = head_end; position < path.size();) {
      if (path[position] == '.') {
        const size_t end = std::min(path.find_first_of(".[", position + 1), path.size());
        QEFF_ASSIGN_OR_RETURN(
            value, interpreter_.GetAttribute(value, path.substr(position + 1, end - position - 1)));
        position = end;
      } else {
        const size_t end = path.find(']', position);
        if (path[position] != '[' || end == std::string_view::npos) {
          return OperationError("expected ']' in a format field");
        }
        const std::string index(path.substr(position + 1, end - position - 1));
        const bool is_index = !index.empty() && index.size() <= 18 &&
                              index.find_first_not_of("0123456789") == std::string::npos;
        QEFF_ASSIGN_OR_RETURN(
            value, interpreter_.GetItem(
                       value, is_index ? Value::FromInteger(static_cast<Integer>(ToSize(index)))
                                       : Value::FromText(index)));
        position = end + 1;
      }
    }
    return value;
  }

  static size_t ToSize(const std::string& digits) {
    const std::optional<Integer> value = ParseInteger(digits, 10);
    return value.has_value() && *value < INT64_MAX ? static_cast<size_t>(*value) : SIZE_MAX;
  }

  Interpreter& interpreter_;
  const Arguments& arguments_;
  size_t next_ = 0;
};

}  // namespace

Result<Value> FormatPercent(const Value& format, const Value& value, Budget& budget) {
  QEFF_ASSIGN_OR_RETURN(std::string text, PercentFormatter(format, value, budget).Run());
  budget.Reserve(text.size());
  return format.is_markup() ? Value::FromMarkup(std::move(text)) : Value::FromText(std::move(text));
}

Result<Value> FormatBraces(Interpreter& interpreter, const Value& self,
                           const Arguments& arguments) {
  QEFF_ASSIGN_OR_RETURN(std::string text,
                        BraceFormatter(interpreter, arguments).Run(self.text(), 0));
  return Value::FromText(std::move(text));
}

}  // namespace qeff::jinja
