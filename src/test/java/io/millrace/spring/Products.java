package io.millrace.spring;

import org.springframework.data.repository.reactive.ReactiveCrudRepository;

/** A repository of Spring Data, as applications declare them. */
interface Products extends ReactiveCrudRepository<Product, String> {}
