"""Things that speak: models, tokenizers, corpora, training and sampling.

presets, model, pretrained, checkpoint   a model: by name, by shape, from elsewhere, on disk
attention_layers, key_surgery            where its heads keep keys and queries, and fewer keys
tokenizer, corpora, packing              text, and the batches cut from it; hub: is it there
training, optimizers                     weights from text
learners                                 learners whose recursion has a closed form
sampling                                 text from weights
story_tasks, code_prompts                questions written for this project
task_rows, task_fields                   the items of the nine tasks
"""
