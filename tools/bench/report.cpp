// SPDX-FileCopyrightText: Copyright The qeff Authors
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tools/bench/bench.h"

namespace qeff::bench {
namespace {

using Table = std::vector<std::vector<std::string>>;

/// The first row is the heading; columns are as wide as their widest cell.
std::string MarkdownTable(const Table& table) {
  std::vector<size_t> widths(table.front().size(), 3);
  for (const auto& row : table) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (size_t line = 0; line < table.size(); ++line) {
    text += "|";
    for (size_t i = 0; i < widths.size(); ++i) {
      text += fmt::format(" {:<{}} |", table[line][i], widths[i]);
    }
    text += "\n";
    if (line > 0) continue;
    text += "|";
    for (const size_t width : widths) text += " " + std::string(width, '-') + " |";
    text += "\n";
  }
  return text;
}

std::string RateText(const Spread& spread) {
  return fmt::format("{:.1f} ({:.1f}-{:.1f})", spread.median, spread.min, spread.max);
}

/// What the run reached, in the unit of what bounds it.
std::string ReachedText(const Row& row) {
  const double seconds =
      static_cast<double>(row.cell.tokens * row.cell.batch) / row.TokensPerSecond().median;
  return row.Bound() == "read"
             ? fmt::format("{:.1f} GB/s", row.work.bytes / seconds / 1e9)
             : fmt::format("{:.0f} GOP/s {}", row.work.total_operations() / seconds / 1e9,
                           row.Bound());
}

std::string ShareText(const Spread& share) {
  return fmt::format("{:.0f} % ({:.0f}-{:.0f})", 100 * share.median, 100 * share.min,
                     100 * share.max);
}

Table RowTable(const Report& report) {
  Table table = {{"model", "threads", "batch", "test", "tok/s", "reached", "of the limit"}};
  for (const std::string& peer : report.peers) {
    table.front().push_back(peer + " tok/s");
    table.front().push_back("ours over it");
  }
  for (const Row& row : report.rows) {
    std::vector<std::string>& cells = table.emplace_back();
    cells = {row.model,
             std::to_string(row.threads),
             std::to_string(row.cell.batch),
             row.cell.Name(),
             RateText(row.TokensPerSecond()),
             row.has_work() ? ReachedText(row) : "-",
             row.has_work() ? ShareText(row.ShareOfLimit()) : "-"};
    for (size_t peer = 0; peer < report.peers.size(); ++peer) {
      if (!row.peer_errors[peer].empty()) {
        cells.insert(cells.end(), {"-", "-"});
        continue;
      }
      const Spread ratio = row.RatioToPeer(peer);
      cells.push_back(RateText(row.PeerTokensPerSecond(peer)));
      cells.push_back(fmt::format("{:.2f} ({:.2f}-{:.2f})", ratio.median, ratio.min, ratio.max));
    }
  }
  return table;
}

/// Why figures of peers are missing, a line each.
std::string PeerNotes(const Report& report) {
  std::string text;
  for (const Row& row : report.rows) {
    for (size_t peer = 0; peer < report.peers.size(); ++peer) {
      if (row.peer_errors[peer].empty()) continue;
      text += fmt::format("no figure of {} for {} of {}, batch {}, threads {}: {}\n",
                          report.peers[peer], row.cell.Name(), row.model, row.cell.batch,
                          row.threads, row.peer_errors[peer]);
    }
  }
  return text.empty() ? text : "\n" + text;
}

std::string LimitText(const LimitRow& limit) {
  return limit.is_read ? fmt::format("{:.1f} GB/s", limit.rate / 1e9)
                       : fmt::format("{:.0f} GOP/s", limit.rate / 1e9);
}

std::string ToMarkdown(const Report& report) {
  std::string text;
  for (const auto& [name, value] : report.environment.items()) {
    text +=
        fmt::format("{}: {}\n", name, value.is_string() ? value.get<std::string>() : value.dump());
  }
  if (!report.limits.empty()) {
    Table table = {{"threads", "limit", "rate"}};
    for (const LimitRow& limit : report.limits) {
      table.push_back({std::to_string(limit.threads), limit.name, LimitText(limit)});
    }
    text += "\n" + MarkdownTable(table);
  }
  if (!report.rows.empty()) text += "\n" + MarkdownTable(RowTable(report)) + PeerNotes(report);
  return text;
}

Json SpreadJson(const Spread& spread) {
  return {{"median", spread.median}, {"min", spread.min}, {"max", spread.max}};
}

Json PeersJson(const Report& report, const Row& row) {
  Json peers = Json::array();
  for (size_t peer = 0; peer < report.peers.size(); ++peer) {
    Json& entry = peers.emplace_back(Json{{"engine", report.peers[peer]}});
    if (!row.peer_errors[peer].empty()) {
      entry["error"] = row.peer_errors[peer];
      continue;
    }
    entry["tok_s"] = SpreadJson(row.PeerTokensPerSecond(peer));
    entry["ratio"] = SpreadJson(row.RatioToPeer(peer));
  }
  return peers;
}

Json RowJson(const Report& report, const Row& row) {
  Json json = {{"model", row.model},
               {"threads", row.threads},
               {"test", row.cell.is_prefill ? "prefill" : "decode"},
               {"tokens", row.cell.tokens},
               {"depth", row.cell.depth},
               {"batch", row.cell.batch},
               {"repetitions", row.samples.size()},
               {"tok_s", SpreadJson(row.TokensPerSecond())}};
  if (row.has_work()) {
    Json operations = Json::object();
    for (const Arithmetic kind : kArithmetics) {
      operations[std::string(ArithmeticName(kind))] =
          row.work.operations[static_cast<size_t>(kind)];
    }
    json["bytes"] = row.work.bytes;
    json["operations"] = operations;
    json["bound"] = std::string(row.Bound());
    json["share_of_limit"] = SpreadJson(row.ShareOfLimit());
  }
  Json samples = Json::array();
  for (const Sample& sample : row.samples) {
    Json& entry = samples.emplace_back(Json{{"tok_s", sample.tokens_per_s}});
    if (!row.has_work()) continue;
    entry["read_bytes_s"] = sample.bytes_per_s;
    for (const Arithmetic kind : kArithmetics) {
      const double peak = sample.peaks[static_cast<size_t>(kind)];
      if (peak > 0) entry[fmt::format("peak_{}_op_s", ArithmeticName(kind))] = peak;
    }
  }
  json["samples"] = samples;
  json["peers"] = PeersJson(report, row);
  return json;
}

std::string ToJsonText(const Report& report) {
  Json limits = Json::array();
  for (const LimitRow& limit : report.limits) {
    limits.push_back({{"threads", limit.threads},
                      {"name", limit.name},
                      {limit.is_read ? "bytes_s" : "op_s", limit.rate}});
  }
  Json rows = Json::array();
  for (const Row& row : report.rows) rows.push_back(RowJson(report, row));
  return DumpPretty({{"environment", report.environment}, {"limits", limits}, {"rows", rows}});
}

/// Quoted if it holds a comma or a quote.
std::string CsvField(const std::string& text) {
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

std::string LimitsCsv(const std::vector<LimitRow>& limits) {
  std::string text = "limit,threads,rate,unit\n";
  for (const LimitRow& limit : limits) {
    text += fmt::format("{},{},{:.0f},{}\n", CsvField(limit.name), limit.threads, limit.rate,
                        limit.is_read ? "bytes/s" : "operations/s");
  }
  return text;
}

std::string RateCsv(const Spread& rate) {
  return fmt::format("{:.3f},{:.3f},{:.3f}", rate.median, rate.min, rate.max);
}

/// A line for each row and engine: ours first, then the peers, without figures where they have
/// none.
std::string RowsCsv(const Report& report) {
  std::string text =
      "model,engine,threads,batch,test,tokens,depth,tok_s,tok_s_min,tok_s_max,bytes,operations,"
      "share_of_limit\n";
  for (const Row& row : report.rows) {
    const auto add = [&](const std::string& engine, const std::string& rate,
                         const std::string& rest) {
      text += fmt::format("{},{},{},{},{},{},{},{},{}\n", CsvField(row.model), CsvField(engine),
                          row.threads, row.cell.batch, row.cell.is_prefill ? "prefill" : "decode",
                          row.cell.tokens, row.cell.depth, rate, rest);
    };
    add("qeff", RateCsv(row.TokensPerSecond()),
        row.has_work() ? fmt::format("{:.0f},{:.0f},{:.4f}", row.work.bytes,
                                     row.work.total_operations(), row.ShareOfLimit().median)
                       : ",,");
    for (size_t peer = 0; peer < report.peers.size(); ++peer) {
      const bool has_figure = row.peer_errors[peer].empty();
      add(report.peers[peer], has_figure ? RateCsv(row.PeerTokensPerSecond(peer)) : ",,", ",,");
    }
  }
  return text;
}

}  // namespace

std::string FormatReport(const Report& report, Format format) {
  switch (format) {
    case Format::kMarkdown:
      return ToMarkdown(report);
    case Format::kJson:
      return ToJsonText(report);
    case Format::kCsv:
      return report.limits.empty() ? RowsCsv(report) : LimitsCsv(report.limits);
  }
  return "";
}

}  // namespace qeff::bench
