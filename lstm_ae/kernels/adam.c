/* The norm of a gradient, and the step of Adam (Kingma and Ba 2015) or AdamW (Loshchilov and Hutter 2019), over all
 * parameters in one call. A small model has so few numbers in so many tensors that everything else is the calling. */
#include <math.h>
#include <stdint.h>

/* The fields are all of 8 bytes, in the order of the rows that adam.py writes. */
typedef struct {
    float *value, *gradient, *mean, *square, *steps; /* steps: one number, the steps taken so far */
    int64_t size;
} Parameter;

/* In single precision only within a run of numbers, so that it is as good as a sum in double. */
double gradient_norm(int64_t count, const Parameter *parameters) {
    double sum = 0;
    for (const Parameter *p = parameters; p < parameters + count; p++)
        for (int64_t start = 0; start < p->size; start += 1024) {
            const int64_t end = start + 1024 < p->size ? start + 1024 : p->size;
            float lanes[16] = {0}; /* sixteen sums side by side: the compiler may not reorder a single one */
            int64_t j = start;
            for (; j + 16 <= end; j += 16)
                for (int l = 0; l < 16; l++) lanes[l] += p->gradient[j + l] * p->gradient[j + l];
            for (; j < end; j++) lanes[0] += p->gradient[j] * p->gradient[j];
            for (int l = 0; l < 16; l++) sum += lanes[l];
        }
    return sqrt(sum);
}

/* As torch.optim's, which also decides what comes first: the gradient is scaled (by clipping), then takes in the weight
 * decay, unless that is decoupled from it and shrinks the values themselves. */
void adam_step(int64_t count, const Parameter *parameters, double rate, double beta1, double beta2, double epsilon,
               double decay, double scale, int decoupled) {
    for (const Parameter *p = parameters; p < parameters + count; p++) {
        const double steps = *p->steps += 1;
        const float step_size = (float)(rate / (1 - pow(beta1, steps)));
        const float root = (float)sqrt(1 - pow(beta2, steps)), eps = (float)epsilon, by = (float)scale;
        const float shrink = decoupled ? (float)(1 - rate * decay) : 1.f, pull = decoupled ? 0.f : (float)decay;
        const float keep = (float)(1 - beta1), square_old = (float)beta2, square_new = (float)(1 - beta2);
        float *restrict value = p->value, *restrict mean = p->mean, *restrict square = p->square;
        const float *restrict gradient = p->gradient;
        for (int64_t j = 0; j < p->size; j++) {
            const float d = gradient[j] * by + pull * value[j];
            mean[j] += keep * (d - mean[j]);
            square[j] = square_old * square[j] + square_new * d * d;
            value[j] = shrink * value[j] - step_size * mean[j] / (sqrtf(square[j]) / root + eps);
        }
    }
}
