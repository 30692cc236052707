package io.millrace.cli;

import io.millrace.Event;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;

/** An hour in the life of four customers of very unequal size, made up but always the same. */
final class DemoEvents {

    /** A customer and how many of a thousand events are its own. */
    private record Customer(String environment, int perMille, String currency) {}

    private static final List<Customer> CUSTOMERS = List.of(
            new Customer("megastore", 892, "USD"),
            new Customer("bluebird-travel", 100, "EUR"),
            new Customer("corner-bakery", 5, "GBP"),
            new Customer("dr-lindqvist", 1, "SEK"));

    private static final List<String> WORDS =
            List.of("rain coat", "sourdough", "city trip lisbon", "desk lamp", "running shoes", "dentist", "gift card");
    private static final List<String> SITES =
            List.of("https://www.google.com/search?q=", "https://duckduckgo.com/?q=", "https://news.example.org/");
    private static final List<String> PEOPLE =
            List.of("ada", "bela", "chidi", "dunya", "emil", "fatou", "grace", "hiro", "ines", "jonas");

    private final Random random = new Random(20_261_120);
    private int orders = 10_000;

    static List<String> environments() {
        return CUSTOMERS.stream().map(Customer::environment).toList();
    }

    List<Event> hour(int events) {
        List<Event> hour = new ArrayList<>(events);
        for (Customer customer : CUSTOMERS) {
            for (int i = 0; i < Math.max(5, events * customer.perMille() / 1_000); i++) {
                hour.add(one(customer, i));
            }
        }
        // The large customer's burst comes first: without fairness everybody else would wait behind it.
        return hour;
    }

    private Event one(Customer customer, int i) {
        String environment = customer.environment();
        if (i % 10 == 3) {
            return Event.of(environment, "signup", pick(PEOPLE) + random.nextInt(900) + "@example.com")
                    .withData(Map.of("plan", i % 3 == 0 ? "pro" : "free"));
        }
        if (i % 10 < 5) {
            BigDecimal total = BigDecimal.valueOf(500 + random.nextInt(30_000), 2);
            return Event.of(environment, "order", "order/" + ++orders)
                    .withData(Map.of("total", total, "currency", customer.currency()))
                    .with("customer", pick(PEOPLE));
        }
        return Event.of(environment, "page", pick(SITES) + pick(WORDS).replace(' ', '+'))
                .with("visitor", String.format(Locale.ROOT, "v-%04d", random.nextInt(10_000)));
    }

    private String pick(List<String> from) {
        return from.get(random.nextInt(from.size()));
    }
}
